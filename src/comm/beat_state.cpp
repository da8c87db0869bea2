#include "comm/beat_state.h"

#include "core/json.h"

namespace acm::comm {

std::string to_text(const BeatState& state) {
  const Json call = Json::object({{"group", state.call.group},
                                  {"operation", state.call.operation},
                                  {"number", state.call.number},
                                  {"is_over", state.call.is_over}});
  return Json::object({{"counter", state.counter},
                       {"run", state.run},
                       {"host", state.host},
                       {"pid", state.pid},
                       {"job", state.job},
                       {"phase", state.phase},
                       {"site", state.site},
                       {"step", state.step},
                       {"saving", state.saving},
                       {"sites_done", state.sites_done},
                       {"call", call},
                       {"stop_asked", state.stop_asked},
                       {"has_left", state.has_left}})
      .dump();
}

BeatState beat_from(std::string_view text, const std::string& source) {
  const Json json = Json::parse(text, source);
  BeatState state;
  state.counter = json.at("counter").as_int();
  state.run = json.at("run").as_string();
  state.host = json.at("host").as_string();
  state.pid = json.at("pid").as_int();
  state.job = json.at("job").as_string();
  state.phase = json.at("phase").as_string();
  state.site = json.at("site").as_string();
  state.step = json.at("step").as_int();
  state.saving = json.at("saving").as_int();
  state.sites_done = json.at("sites_done").as_int();
  const Json& call = json.at("call");
  state.call.group = call.at("group").as_string();
  state.call.operation = call.at("operation").as_string();
  state.call.number = call.at("number").as_int();
  state.call.is_over = call.at("is_over").as_bool();
  state.stop_asked = json.at("stop_asked").as_bool();
  state.has_left = json.at("has_left").as_bool();
  return state;
}

}  // namespace acm::comm
