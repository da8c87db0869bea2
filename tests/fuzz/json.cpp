// core/json: every JSON file of a run (manifests, beats, metrics, results), and the JSON inside other formats.
#include "core/json.h"

#include "fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  acm::fuzz::try_to([&] {
    const acm::Json json = acm::Json::parse(acm::fuzz::text_of(data, size), "a text");
    for (const int indent : {-1, 1}) {
      acm::fuzz::promise(acm::Json::parse(json.dump(indent), "its dump") == json, "a dump reads back equal");
    }
  });
  return 0;
}
