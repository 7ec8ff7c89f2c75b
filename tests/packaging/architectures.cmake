# Print what would be built, with nvcc of CUDA 13:
#
#   cmake -DFASTGAN_CUDA=... -DNVIDIA_SMI=... -P architectures.cmake
include(${CMAKE_CURRENT_LIST_DIR}/../../csrc/architectures.cmake)
set(KNOWN "75;80;86;87;88;89;90;100;120")
list(TRANSFORM KNOWN PREPEND "compute_")
list(JOIN KNOWN "\n" KNOWN)
fastgan_cuda_architectures(found problem)
message(STATUS "found '${found}' problem '${problem}'")
