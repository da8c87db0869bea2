# One precompiled header of what nearly every source that sees Torch includes: it takes a compile from about ten seconds to three. The sources still include
# what they use. ACM_PCH=OFF builds without it (clang-tidy cannot read it).
if(ACM_PCH)
  file(CONFIGURE OUTPUT pch.cpp CONTENT "")  # leaves an equal file alone
  add_library(acm_pch OBJECT ${CMAKE_CURRENT_BINARY_DIR}/pch.cpp)
  target_link_libraries(acm_pch PRIVATE Torch::cpu)
  target_precompile_headers(acm_pch PRIVATE <ATen/core/Tensor.h> <torch/nn/module.h> <map> <memory> <string> <vector>)
endif()

function(acm_use_pch target)
  if(ACM_PCH)
    target_precompile_headers(${target} REUSE_FROM acm_pch)
  endif()
endfunction()

# acm_room(NAME SOURCES ... ROOMS ... PRIVATE ...): the static library acm_NAME of the folder src/NAME.
# ROOMS are the rooms it may include (the table in src/README.md); PRIVATE are third parties that only its sources see.
function(acm_room name)
  cmake_parse_arguments(room "" "" "SOURCES;ROOMS;PRIVATE" ${ARGN})
  add_library(acm_${name} STATIC ${room_SOURCES})
  target_include_directories(acm_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  list(TRANSFORM room_ROOMS PREPEND acm_)
  target_link_libraries(acm_${name} PUBLIC ${room_ROOMS} PRIVATE ${room_PRIVATE})
endfunction()
