# fastgan_digest(<out> <folder>...) sets <out> to a digest of the sources of the CUDA library: those
# of the named folders of csrc, of csrc/common, and the description of the build. A change of one of
# them configures the build anew. tools/gpu_session/library.py computes the same.
function(fastgan_digest out)
  set(patterns CMakeLists.txt csrc/*.cmake)
  foreach(folder IN LISTS ARGN ITEMS common)
    list(APPEND patterns csrc/${folder}/*.h csrc/${folder}/*.cuh csrc/${folder}/*.in
      csrc/${folder}/glue.cpp)
  endforeach()
  file(GLOB sources RELATIVE ${CMAKE_SOURCE_DIR} CONFIGURE_DEPENDS ${patterns})
  # Code of the CPU alone.
  list(FILTER sources EXCLUDE REGEX "/(cpu[^/]*|race_check[^/]*)$")
  list(SORT sources)
  set(text "")
  foreach(source IN LISTS sources)
    file(SHA256 ${CMAKE_SOURCE_DIR}/${source} digest)
    string(APPEND text "${source} ${digest}\n")
  endforeach()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${sources})
  string(SHA256 digest "${text}")
  set(${out} ${digest} PARENT_SCOPE)
endfunction()
