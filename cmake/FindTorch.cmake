# LibTorch as the pip wheel ships it. The wheel's own TorchConfig.cmake asks for a CUDA toolkit at configure time; this module
# finds the same libraries and asks for nothing else. Targets: Torch::c10, Torch::cpu, and
# with ACM_WITH_CUDA Torch::cuda.
set(Torch_ROOT "${CMAKE_SOURCE_DIR}/.deps/torch/torch" CACHE PATH "The torch/ folder of the 2.11 wheel")
find_path(Torch_INCLUDE_DIR ATen/ATen.h PATHS ${Torch_ROOT} PATH_SUFFIXES include NO_DEFAULT_PATH)
set(Torch_libraries c10 torch_cpu)
if(ACM_WITH_CUDA)
  list(APPEND Torch_libraries c10_cuda torch_cuda)
endif()
foreach(library ${Torch_libraries})
  find_library(Torch_${library}_LIBRARY ${library} PATHS ${Torch_ROOT} PATH_SUFFIXES lib NO_DEFAULT_PATH)
endforeach()

if(Torch_INCLUDE_DIR)
  file(STRINGS ${Torch_INCLUDE_DIR}/torch/headeronly/version.h version_lines REGEX "#define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
  list(TRANSFORM version_lines REPLACE "[^0-9]+" "")
  list(JOIN version_lines "." Torch_VERSION)
endif()

list(TRANSFORM Torch_libraries REPLACE "(.+)" "Torch_\\1_LIBRARY" OUTPUT_VARIABLE Torch_library_variables)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Torch REQUIRED_VARS Torch_INCLUDE_DIR ${Torch_library_variables}
  VERSION_VAR Torch_VERSION REASON_FAILURE_MESSAGE "run launch/setup.sh, which fetches LibTorch into .deps/")

if(Torch_FOUND AND NOT TARGET Torch::cpu)
  add_library(Torch::c10 SHARED IMPORTED)
  set_target_properties(Torch::c10 PROPERTIES IMPORTED_LOCATION ${Torch_c10_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES "${Torch_INCLUDE_DIR};${Torch_INCLUDE_DIR}/torch/csrc/api/include")
  add_library(Torch::cpu SHARED IMPORTED)
  set_target_properties(Torch::cpu PROPERTIES IMPORTED_LOCATION ${Torch_torch_cpu_LIBRARY} INTERFACE_LINK_LIBRARIES Torch::c10)
endif()

if(Torch_FOUND AND ACM_WITH_CUDA AND NOT TARGET Torch::cuda)
  # Our code calls little in libtorch_cuda, which announces its kernels when it is loaded: the linker must not leave it out.
  # Libraries alone: a source that includes CUDA's headers is told so where it is built.
  add_library(Torch::cuda INTERFACE IMPORTED)
  target_link_libraries(Torch::cuda INTERFACE Torch::cpu
    -Wl,--push-state,--no-as-needed ${Torch_torch_cuda_LIBRARY} ${Torch_c10_cuda_LIBRARY} -Wl,--pop-state
    $<TARGET_LINKER_FILE:CUDA::cudart>)
endif()
