# nvJPEG as nvJPEG::nvJPEG: the CUDA toolkit's, or a Python wheel's (NVJPEG_ROOT is its folder with include/ and lib/).
include(FindPackageHandleStandardArgs)

find_path(nvJPEG_INCLUDE_DIR nvjpeg.h HINTS ${NVJPEG_ROOT} ${CUDAToolkit_INCLUDE_DIRS} PATH_SUFFIXES include)
find_library(nvJPEG_LIBRARY NAMES nvjpeg libnvjpeg.so.13 libnvjpeg.so.12
    HINTS ${NVJPEG_ROOT} ${CUDAToolkit_LIBRARY_DIR} PATH_SUFFIXES lib lib64)
find_package_handle_standard_args(nvJPEG REQUIRED_VARS nvJPEG_LIBRARY nvJPEG_INCLUDE_DIR)
mark_as_advanced(nvJPEG_INCLUDE_DIR nvJPEG_LIBRARY)

if(nvJPEG_FOUND AND NOT TARGET nvJPEG::nvJPEG)
    add_library(nvJPEG::nvJPEG SHARED IMPORTED)
    set_target_properties(nvJPEG::nvJPEG PROPERTIES IMPORTED_LOCATION "${nvJPEG_LIBRARY}")
    target_include_directories(nvJPEG::nvJPEG SYSTEM INTERFACE "${nvJPEG_INCLUDE_DIR}")
endif()
