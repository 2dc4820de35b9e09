# libjpeg-turbo's own API as TurboJPEG::TurboJPEG; the static library where there is one, so that programs run anywhere.
include(FindPackageHandleStandardArgs)

find_path(TurboJPEG_INCLUDE_DIR turbojpeg.h)
find_library(TurboJPEG_LIBRARY NAMES libturbojpeg.a turbojpeg)
find_package_handle_standard_args(TurboJPEG REQUIRED_VARS TurboJPEG_LIBRARY TurboJPEG_INCLUDE_DIR)
mark_as_advanced(TurboJPEG_INCLUDE_DIR TurboJPEG_LIBRARY)

if(TurboJPEG_FOUND AND NOT TARGET TurboJPEG::TurboJPEG)
    add_library(TurboJPEG::TurboJPEG UNKNOWN IMPORTED)
    set_target_properties(TurboJPEG::TurboJPEG PROPERTIES IMPORTED_LOCATION "${TurboJPEG_LIBRARY}")
    target_include_directories(TurboJPEG::TurboJPEG INTERFACE "${TurboJPEG_INCLUDE_DIR}")
endif()
