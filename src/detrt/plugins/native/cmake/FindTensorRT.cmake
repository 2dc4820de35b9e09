#[=[
FindTensorRT: TensorRT's headers and libraries, 8.6 to 11.x, or TensorRT-RTX behind TensorRT's headers.

    list(APPEND CMAKE_MODULE_PATH .../plugins/native/cmake)
    find_package(TensorRT 8.6 REQUIRED COMPONENTS nvinfer onnxparser)

Asked for by

    TENSORRT_ROOT      folder with include/ and lib/; the system's paths are searched as well
    TENSORRT_INCLUDE   folder of NvInfer.h, where it lies elsewhere
    TENSORRT_LIBS      folder of the libraries, where it lies elsewhere, such as a Python wheel's
    DETRT_TENSORRT     full: TensorRT, libnvinfer and libnvonnxparser
                       rtx: TensorRT-RTX, libtensorrt_rtx and libtensorrt_onnxparser_rtx, with the headers of
                       TensorRT 11.1: those of its own are in no package index. Its networks have other slots than
                       those headers say, so keep to the parser, builder, runtime and execution contexts (docs/cpp.md)

Components; without any, the headers are enough

    nvinfer            TensorRT::nvinfer: headers and library
    onnxparser         TensorRT::onnxparser: the ONNX parser, on top of TensorRT::nvinfer

Sets TensorRT_FOUND, TensorRT_<component>_FOUND, TensorRT_VERSION (of the headers) and TensorRT_INCLUDE_DIR. The target
TensorRT::headers is there whenever the headers are: what only compiles, or resolves its symbols when it is loaded, as a
plugin library does, needs no more.
#]=]

include(FindPackageHandleStandardArgs)

set(DETRT_TENSORRT full CACHE STRING "Which TensorRT: full or rtx")
set_property(CACHE DETRT_TENSORRT PROPERTY STRINGS full rtx)
if(DETRT_TENSORRT STREQUAL "full")
    # A wheel has the numbered file alone, without the link that compilers look for.
    set(_nvinfer_names nvinfer libnvinfer.so.11 libnvinfer.so.10 libnvinfer.so.8)
    set(_onnxparser_names nvonnxparser libnvonnxparser.so.11 libnvonnxparser.so.10 libnvonnxparser.so.8)
elseif(DETRT_TENSORRT STREQUAL "rtx")
    set(_nvinfer_names tensorrt_rtx libtensorrt_rtx.so.1)
    set(_onnxparser_names tensorrt_onnxparser_rtx libtensorrt_onnxparser_rtx.so.1)
else()
    message(FATAL_ERROR "DETRT_TENSORRT is '${DETRT_TENSORRT}'. Use full or rtx.")
endif()

set(_roots ${TENSORRT_ROOT} $ENV{TENSORRT_ROOT} /usr/local/tensorrt /opt/tensorrt)
find_path(TensorRT_INCLUDE_DIR NvInfer.h HINTS ${TENSORRT_INCLUDE} ${_roots} PATH_SUFFIXES include)
find_path(TensorRT_PARSER_INCLUDE_DIR NvOnnxParser.h
    HINTS ${TENSORRT_INCLUDE} ${TensorRT_INCLUDE_DIR} ${_roots} PATH_SUFFIXES include)
foreach(_component nvinfer onnxparser)
    find_library(TensorRT_${_component}_LIBRARY NAMES ${_${_component}_names}
        HINTS ${TENSORRT_LIBS} ${_roots} PATH_SUFFIXES lib lib64 tensorrt_libs tensorrt_rtx_libs)
endforeach()

# From 10.13 on, NV_TENSORRT_MAJOR is the name of another macro, TRT_MAJOR_ENTERPRISE.
if(EXISTS "${TensorRT_INCLUDE_DIR}/NvInferVersion.h")
    file(STRINGS "${TensorRT_INCLUDE_DIR}/NvInferVersion.h" _lines REGEX "^#define (NV_TENSORRT|TRT)_[A-Z_]+ [0-9]+")
    foreach(_part MAJOR MINOR PATCH BUILD)
        string(REGEX MATCH "(NV_TENSORRT_${_part}|TRT_${_part}_ENTERPRISE) +([0-9]+)" _ "${_lines}")
        list(APPEND TensorRT_VERSION "${CMAKE_MATCH_2}")
    endforeach()
    list(JOIN TensorRT_VERSION "." TensorRT_VERSION)
endif()

if(TensorRT_nvinfer_LIBRARY)
    set(TensorRT_nvinfer_FOUND TRUE)
endif()
if(TensorRT_onnxparser_LIBRARY AND TensorRT_nvinfer_LIBRARY AND TensorRT_PARSER_INCLUDE_DIR)
    set(TensorRT_onnxparser_FOUND TRUE)
endif()

find_package_handle_standard_args(TensorRT
    REQUIRED_VARS TensorRT_INCLUDE_DIR
    VERSION_VAR TensorRT_VERSION
    HANDLE_COMPONENTS
    REASON_FAILURE_MESSAGE "Set TENSORRT_ROOT, or TENSORRT_INCLUDE and TENSORRT_LIBS (DETRT_TENSORRT is ${DETRT_TENSORRT})."
)
mark_as_advanced(TensorRT_INCLUDE_DIR TensorRT_PARSER_INCLUDE_DIR TensorRT_nvinfer_LIBRARY TensorRT_onnxparser_LIBRARY)

if(TensorRT_INCLUDE_DIR AND NOT TARGET TensorRT::headers)
    add_library(TensorRT::headers INTERFACE IMPORTED)
    # TensorRT's headers include CUDA's; NvInfer.h of every version deprecates much of itself, so they are SYSTEM.
    target_include_directories(TensorRT::headers SYSTEM INTERFACE "${TensorRT_INCLUDE_DIR}")
    if(DETRT_TENSORRT STREQUAL "rtx")
        target_compile_definitions(TensorRT::headers INTERFACE DETRT_TENSORRT_RTX=1)
    endif()
endif()
foreach(_component nvinfer onnxparser)
    if(TensorRT_FOUND AND TensorRT_${_component}_FOUND AND NOT TARGET TensorRT::${_component})
        add_library(TensorRT::${_component} SHARED IMPORTED)
        set_target_properties(TensorRT::${_component} PROPERTIES IMPORTED_LOCATION "${TensorRT_${_component}_LIBRARY}")
        target_link_libraries(TensorRT::${_component} INTERFACE TensorRT::headers)
    endif()
endforeach()
if(TARGET TensorRT::onnxparser)
    target_link_libraries(TensorRT::onnxparser INTERFACE TensorRT::nvinfer)
    target_include_directories(TensorRT::onnxparser SYSTEM INTERFACE "${TensorRT_PARSER_INCLUDE_DIR}")
endif()

unset(_roots)
unset(_lines)
unset(_component)
unset(_part)
unset(_nvinfer_names)
unset(_onnxparser_names)
