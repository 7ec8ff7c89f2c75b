# cmake -DFASTGAN_CUDA=... -DNVIDIA_SMI=... -P architectures.cmake: prints what would be built. nvcc is one of CUDA 13.
include(${CMAKE_CURRENT_LIST_DIR}/../../csrc/architectures.cmake)
set(KNOWN "compute_75\ncompute_80\ncompute_86\ncompute_87\ncompute_88\ncompute_89\ncompute_90\ncompute_100\ncompute_120")
fastgan_cuda_architectures(found problem)
message(STATUS "found '${found}' problem '${problem}'")
