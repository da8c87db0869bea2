// usage: fuzz_seeds FOLDER. Writes the seeds of every target into FOLDER/TARGET/: right files, and hostile ones of
// kinds that are known. The corpus in the tree also holds what the fuzzers found.
#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>

#include <zlib.h>

#include <cstdio>
#include <cstring>
#include <map>

#include "core/digest.h"
#include "core/file.h"
#include "data/image/image_index.h"
#include "io/safetensors.h"
#include "train/manifest.h"
#include "unit/data/image/pictures.h"
#include "unit/io/cache_example.h"
#include "unit/io/tar_file.h"

namespace {

namespace fs = std::filesystem;
using namespace acm;
using Seeds = std::map<std::string, std::string>;

std::string gzip(const std::string& content) {
  z_stream stream = {};
  deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, content.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string with_header(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + header + std::string(data_bytes, '\1');
}

Seeds safetensors(const fs::path& scratch) {
  io::write_safetensors(scratch,
                        {{"blocks.0.w", at::arange(6, at::kFloat).view({2, 3})},
                         {"half", at::ones({3}, at::kHalf)},
                         {"flag", at::ones({2}, at::kBool)},
                         {"count", at::ones({}, at::kLong)}},
                        {{"acm_dist", "{\"format\":1}"}});
  return {
      {"right", read_file(scratch)},
      {"huge_length", std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10)},
      {"huge_shape", with_header(R"({"w":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0)},
      {"huge_empty", with_header(R"({"w":{"dtype":"F64","shape":[0,9223372036854775807,9],"data_offsets":[0,0]}})", 0)},
      {"overlap", with_header(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                              R"("b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
                              6)},
      {"escape", with_header(R"({"a\u001b[2J\n":{"dtype":"U9","shape":[4],"data_offsets":[0,4]}})", 4)},
      {"pickle", std::string("\x80\x02}q\0(X\5\0\0", 11)},
      {"deep", with_header("{\"a\":" + std::string(3000, '['), 0)}};
}

Seeds json() {
  return {{"right", R"({"a":[1,2.5,-3e-7,true,null,"\u00e9\n"],"b":{"c":{}}})"},
          {"numbers", "[9223372036854775807,-9223372036854775808,18446744073709551615,1e308,5e-324,-0,-0.0]"},
          {"overflow", "[1e999]"},
          {"surrogate", R"(["\ud800","\ud83d\ude00"])"},
          {"twice", R"({"a":1,"a":2})"},
          {"bad_utf8", "[\"\xc3\x28\"]"},
          {"deep", std::string(5000, '[') + std::string(5000, ']')},
          {"deep_objects", [] {
             std::string text;
             for (int i = 0; i < 500; ++i) text += "{\"a\":";
             return text + "1" + std::string(500, '}');
           }()}};
}

Seeds manifest(const fs::path& scratch) {
  const auto step = scratch.parent_path();
  train::write_manifest(step, {.scalars = {{"step", 12}, {"epoch", 1}},
                               .tensors = {{"model.w", {"rank-00000.safetensors", "0123456789abcdef"}}}});
  const std::string right = read_file(step / "manifest.json");
  const auto naming = [](const std::string& file) {
    return R"({"content":{"format":1,"scalars":{},"tensors":{"w":{"file":")" + file +
           R"(","digest":"0"}}},"digest":"0"})";
  };
  return {{"right", right},
          {"format", R"({"content":{"format":99,"scalars":{},"tensors":{}},"digest":"0"})"},
          {"upwards", naming("../../../etc/passwd")},
          {"absolute", naming("/etc/passwd")},
          {"zero_byte", naming(R"(a\u0000b)")},
          {"wrong_types", R"({"content":{"format":1,"scalars":[1],"tensors":"x"},"digest":"0"})"}};
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.rfind(from), from.size(), to);
}

Seeds segment(const fs::path& scratch) {
  io::CacheLayout layout = io::example_layout();
  io::ActivationCache cache(scratch, layout);
  cache.write(0, io::example_data(layout, 0));
  const std::string right = read_file(cache.path_of(0));
  fs::remove_all(scratch);
  const std::string plain = right.substr(right.rfind("{\"datasets\""));  // the table alone: small, and as good for most
  Seeds seeds = {{"right", right}, {"table_alone", plain}, {"not_a_segment", "\x89HDF\r\n\x1a\n"}};
  for (const char* number : {"-1", "4611686018427387904", "9223372036854775807"}) {
    const std::string name = std::string(number).substr(0, 3);
    seeds["rows_" + name] = replaced(right, "\"rows\":5", std::string("\"rows\":") + number);
    seeds["samples_" + name] = replaced(right, "\"samples\":3", std::string("\"samples\":") + number);
  }
  std::string offsets = right;  // of the samples, beyond the rows that there are
  const int64_t two = 2, many = 1'000'000;
  const auto at = offsets.find(std::string(reinterpret_cast<const char*>(&two), 8) +
                               std::string(reinterpret_cast<const char*>(&two), 8));
  std::memcpy(offsets.data() + at + 8, &many, 8);
  seeds["offsets_beyond"] = offsets;
  return seeds;
}

Seeds config() {
  return {{"right",
           "run_dir = \"runs/a\"\nseed = 7\n[distill]\nlearning_rate = 1e-4\nshuffle = true\n[acm]\n"
           "sites = [\"ffn\", \"key\"]\nbudget = 0.25\n"},
          {"override", std::string("seed = 1\n\0distill.learning_rate=2e-3", 36)},
          {"override_table", std::string("\0acm.sites={a=1}", 16)},
          {"wrong", "sed = 1\n[distil]\nsteps = 3\n[acm]\nlearners = \"4\"\nsites = [1, \"a\"]\n"},
          {"dates", "seed = 1979-05-27T07:32:00Z\nrun_dir = '''\na'''\n[acm.deep.deeper]\nx = {y = {z = inf}}\n"},
          {"escape", "run_dir = \"\\u001b[2J\\u0000\\n\"\n"},
          {"deep_arrays", "seed = " + std::string(2000, '[') + std::string(2000, ']')},
          {"deep_keys", [] {
             std::string key;
             for (int i = 0; i < 4000; ++i) key += "a.";
             return key + "a = 1\n";
           }()}};
}

Seeds tar() {
  using io::TarText;
  TarText named;
  named.gnu_long_name(std::string(120, 'n')).add("short", "1").pax("path", "p/q.jpg").add("x", "2").add("f/", "", '5');
  return {{"right", TarText().add("0.jpg", "pixels").add("0.cls", "3").finish()},
          {"names", named.finish()},
          {"upwards", TarText().add("../up.jpg", "").finish()},
          {"absolute", TarText().pax("path", "/etc/passwd").add("a", "").finish()},
          {"link", TarText().add("link", "", '2').finish()},
          {"huge_size", TarText().pax("size", "9223372036854775807").add("a", "").finish()},
          {"sparse", TarText().pax("GNU.sparse.major", "1").add("a", "").finish()},
          {"cut", TarText().add("a", std::string(600, 'a')).text.substr(0, 700)}};
}

Seeds idx() {
  const std::string images("\0\0\x08\x03\0\0\0\2\0\0\0\2\0\0\0\3abcdefghijkl", 28);
  const std::string labels("\0\0\x08\x01\0\0\0\3\0\1\2", 11);
  const std::string header("\0\0\x08\x03\0\0\0\1\0\0\0\1\0\0\0\1", 16);
  return {{"images", images},
          {"labels", labels},
          {"images_gzip", gzip(images)},
          {"two_streams", gzip(labels.substr(0, 5)) + gzip(labels.substr(5))},
          {"cut_gzip", gzip(images).substr(0, 20)},
          {"huge_sizes", std::string("\0\0\x08\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16)},
          {"bomb", gzip(gzip(std::string(1 << 20, '\0')))},
          {"bomb_behind_header", gzip(header + std::string(32 << 20, '\0'))}};
}

Seeds jpegs() {
  const auto small = data::picture(16, 24);
  std::string huge = data::jpeg(small);
  const size_t frame = huge.find("\xff\xc0");
  huge.replace(frame + 5, 4, "\xff\xff\xff\xff");
  return {{"baseline", data::jpeg(small)},
          {"progressive", data::jpeg(small, {.progressive = true})},
          {"full_colour", data::jpeg(data::picture(9, 7), {.quality = 40, .subsampled = false})},
          {"cut", data::jpeg(small).substr(0, 700)},
          {"huge", huge}};
}

Seeds pngs() {
  const auto small = data::picture(5, 6);
  std::string huge = data::png(small);
  huge.replace(16, 8, std::string("\x7f\xff\xff\xff\x7f\xff\xff\xff", 8));
  return {{"rgb", data::png(small)},
          {"interlaced", data::png(small, true)},
          {"grey_1", data::png(3, 9, 1, PNG_COLOR_TYPE_GRAY, std::string(6, '\x5a'))},
          {"grey_alpha_16", data::png(2, 3, 16, PNG_COLOR_TYPE_GRAY_ALPHA, std::string(24, 'g'))},
          {"rgba", data::png(2, 2, 8, PNG_COLOR_TYPE_RGB_ALPHA, std::string(16, 'a'))},
          {"cut", data::png(small).substr(0, 60)},
          {"huge", huge}};
}

Seeds labels() {
  return {{"lines", " a.jpg 3\nfolder/b c.jpg 0\r\n\nd.jpg 12\n"},
          {"alone", " 3\n1\n2\n"},
          {"mixed", " a 1\n2\n"},
          {"csv", "1image,label,other\na.jpg,3,\"x,\"\"y\"\"\nz\"\n\"b\n.jpg\",1,\r\n"},
          {"csv_open_quote", "1image,label\n\"a.jpg,3\n"},
          {"csv_short_row", "1image,label\na.jpg\n"},
          {"large_label", " a 9223372036854775807\nb -9223372036854775808\n"},
          {"mark",
           " \xef\xbb\xbf"
           "a 1\n"}};
}

std::string packed_index(const std::string& json, const std::string& rest) {
  const uint64_t length = json.size();
  return "acm image index 1\n" + std::string(reinterpret_cast<const char*>(&length), 8) + json + rest;
}

Seeds image_index() {
  const auto json = [](const std::string& names, const std::string& entries, const std::string& stamps = "[]") {
    return R"({"containers":["train"],"entries":)" + entries + R"(,"key":"k","labels":["0"],"names":)" + names +
           R"(,"stamps":)" + stamps + "}";
  };
  const data::ImageEntry entry = {0, -1, 5, 0, 0}, outside = {1 << 20, -1, 5, 7, 9};
  const auto bytes = [](const data::ImageEntry& of) {
    return std::string(reinterpret_cast<const char*>(&of), sizeof of);
  };
  const std::string name("a.jpg\0", 6);
  const uint64_t huge = uint64_t{1} << 62;
  return {{"right", packed_index(json("6", "1"), name + bytes(entry))},
          {"outside", packed_index(json("6", "1"), name + bytes(outside))},
          {"many_entries", packed_index(json("6", "1000000"), name + bytes(entry))},
          {"absurd_entries", packed_index(json("6", "4611686018427387904"), name + bytes(entry))},
          {"many_names", packed_index(json("600", "1"), name + bytes(entry))},
          {"short_stamp", packed_index(json("6", "1", "[[]]"), name + bytes(entry))},
          {"no_end_of_name", packed_index(json("5", "1"), name.substr(0, 5) + bytes(entry))},
          {"length", "acm image index 1\n" + std::string(reinterpret_cast<const char*>(&huge), 8) + "{}" + name}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fuzz_seeds FOLDER\n");
    return 64;
  }
  const fs::path folder = argv[1];
  make_folder(folder);
  const fs::path scratch = folder / "scratch";
  const std::map<std::string, Seeds> all = {{"safetensors", safetensors(scratch)},
                                            {"json", json()},
                                            {"manifest", manifest(scratch)},
                                            {"config", config()},
                                            {"tar", tar()},
                                            {"idx", idx()},
                                            {"jpeg", jpegs()},
                                            {"png", pngs()},
                                            {"labels", labels()},
                                            {"image_index", image_index()}};
  fs::remove(scratch);
  fs::remove(folder / "manifest.json");
  auto write = [&](const std::string& target, const Seeds& seeds) {
    make_folder(folder / target);
    for (const auto& [name, bytes] : seeds) replace_file(folder / target / name, bytes);
  };
  for (const auto& [target, seeds] : all) write(target, seeds);
  write("segment", segment(scratch));
}
