# `cmake --install`, and `find_package(detrt)` for who builds against it.
include(CMakePackageConfigHelpers)

set(_package ${CMAKE_INSTALL_LIBDIR}/cmake/detrt)
install(TARGETS detrt EXPORT detrt-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS detrt-run RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT detrt-targets NAMESPACE detrt:: DESTINATION ${_package})
configure_package_config_file(cmake/detrtConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/detrtConfig.cmake
    INSTALL_DESTINATION ${_package})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/detrtConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/detrtConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/detrtConfigVersion.cmake
    cmake/FindTurboJPEG.cmake cmake/FindnvJPEG.cmake ../src/detrt/plugins/native/cmake/FindTensorRT.cmake
    DESTINATION ${_package})
