#include "data/loader.h"

#include <gtest/gtest.h>

#include "data/device_copy.h"
#include "device/test_device.h"
#include "unit/phases/small_run.h"

namespace acm::data {
namespace {

bool is_copy(const at::Tensor& there, const at::Tensor& here) {
  return there.device() == test_device() && there.mul(1).cpu().equal(here);
}

TEST(LoaderOnADevice, ServesTheHostsBatchesThereAndTheHostDoesNotWait) {
  const phases::SmallImages images(20, 1);
  const Schedule schedule(20, 6, StreamKey(2));
  AugmentConfig config;
  config.label_smoothing = 0.1;
  const Views views(StreamKey(3), Mixing(config, images.classes(), StreamKey(4)));
  const std::vector<Slice> order = {{0, 0, 2}, {0, 1, 2}};
  Loader here(images, schedule, views, order),
      there(images, schedule, views, order, {.threads = 2, .copies = copy_stream(test_device())});
  const auto compare = [&](const Slice& slice) {
    const Batch expected = here.get(slice);
    const int64_t before = host_syncs();
    const Batch found = there.get(slice);
    EXPECT_EQ(host_syncs(), before);
    EXPECT_TRUE(is_copy(found.inputs, expected.inputs));
    EXPECT_TRUE(is_copy(found.labels, expected.labels));
    EXPECT_TRUE(is_copy(found.targets, expected.targets));
    EXPECT_FALSE(found.lengths.defined());
    EXPECT_TRUE(found.positions.equal(expected.positions));
  };
  for (int64_t step = 0; step < 4; ++step)
    for (const int index : {0, 1}) compare({step, index, 2});
  compare({0, 1, 3});  // which the order has not
}

}  // namespace
}  // namespace acm::data
