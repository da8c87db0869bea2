#include <gtest/gtest.h>

#include "unit/core/expect_error.h"
#include "unit/data/image/image_folder.h"

namespace acm::data {
namespace {

DataConfig pets(const Scratch& scratch) {
  write_image(scratch, "train/cat/b.png", 2);
  write_image(scratch, "train/cat/a.PNG", 1);
  write_image(scratch, "train/dog/more/z.png", 4);
  write_image(scratch, "train/dog/x.png", 3);
  write_image(scratch, "train/eel/e.png", 5);
  replace_file(scratch / "train/cat/notes.txt", "no image");
  make_folder(scratch / "train/.hidden");
  write_image(scratch, "val/eel/q.png", 6);
  return image_config(scratch, "folder");
}

TEST(ClassFolders, SortedNamesAreClasses) {
  const Scratch scratch;
  const DataConfig config = pets(scratch);
  const auto train = open_source(config, Split::kTrain), test = open_source(config, Split::kTest);
  EXPECT_EQ(contents(*train), (Contents{"1:0", "2:0", "3:1", "4:1", "5:2"}));
  // Of three classes the test images have one; it keeps its number.
  EXPECT_EQ(contents(*test), (Contents{"6:2"}));
  EXPECT_EQ(test->classes(), 3);
  EXPECT_EQ(train->input_shape(), (std::array<int64_t, 3>{3, kSide, kSide}));
}

TEST(ClassFolders, AFileOfNamesGivesTheOrder) {
  const Scratch scratch;
  DataConfig config = pets(scratch);
  replace_file(scratch / "names.txt", "eel a long fish\ndog\r\ncat\nfly\n");
  config.class_names = "names.txt";
  EXPECT_EQ(contents(*open_source(config, Split::kTrain)), (Contents{"1:2", "2:2", "3:1", "4:1", "5:0"}));
  EXPECT_EQ(open_source(config, Split::kTest)->classes(), 4);
  replace_file(scratch / "names.txt", "dog\ncat\n");
  expect_error(Fault::kData,
               "cannot tell the class of 'eel' in " + (scratch / "train").string() + ": it is none of the 2",
               [&] { open_source(config, Split::kTrain); });
}

TEST(ClassFolders, SamplesAreSelectedByOrder) {
  const Scratch scratch;
  DataConfig config = pets(scratch);
  config.test = config.train;
  config.train_samples = 3;
  config.test_first = 3;
  config.test_samples = 1;
  EXPECT_EQ(contents(*open_source(config, Split::kTrain)), (Contents{"1:0", "2:0", "3:1"}));
  EXPECT_EQ(contents(*open_source(config, Split::kTest)), (Contents{"4:1"}));
  config.test_first = 5;
  expect_error(Fault::kData, "it has 5 test images, and data.test_first leaves out all of them",
               [&] { open_source(config, Split::kTest); });
}

TEST(ClassFolders, AFlatSplitMayHaveAFileOfLabels) {
  const Scratch scratch;
  DataConfig config = pets(scratch);
  write_image(scratch, "flat/1.png", 1);
  write_image(scratch, "flat/2.png", 2);
  config.test = {"flat"};
  expect_error(Fault::kData, "it has no folders of classes but 2 images, as ILSVRC2012's validation archive unpacks",
               [&] { open_source(config, Split::kTest); });
  replace_file(scratch / "labels.txt", "2.png dog\n1.png eel\n");
  config.test = {"flat", "labels.txt"};
  EXPECT_EQ(contents(*open_source(config, Split::kTest)), (Contents{"1:2", "2:1"}));
}

TEST(ClassFolders, NamesWhatIsWrong) {
  const Scratch scratch;
  DataConfig config = pets(scratch);
  const auto refuses = [&](const std::string& part) {
    expect_error(Fault::kData, part, [&] { open_source(config, Split::kTrain); });
  };
  make_folder(scratch / "train/fox");
  refuses((scratch / "train/fox").string() + ": it holds no JPEG or PNG image");
  replace_file(scratch / "train/fox/f.webp", "");
  refuses("f.webp: it is a .webp file, and only JPEG and PNG images are read");
  std::filesystem::remove_all(scratch / "train/fox");
  write_image(scratch, "train/stray.png", 1);
  refuses("stray.png: it lies beside the folders of classes");
  std::filesystem::remove(scratch / "train/stray.png");
  config.classes = 2;
  refuses((scratch / "train/eel/e.png").string() + ": its class is number 2, counted from 0, and data.classes = 2");
  config.train = {"none"};
  refuses("none: No such file or directory");
  config.train = DataConfig().train;
  expect_error(Fault::kUsage, "set data.train", [&] { open_source(config, Split::kTrain); });
  config.train = {"a", "b", "c"};
  expect_error(Fault::kUsage, "has 3 names", [&] { open_source(config, Split::kTrain); });
}

TEST(ClassFolders, ABadImageIsNamed) {
  const Scratch scratch;
  const DataConfig config = pets(scratch);
  replace_file(scratch / "val/eel/q.png", "GIF89a");
  const auto source = open_source(config, Split::kTest);
  expect_error(Fault::kData, "cannot use the image " + (scratch / "val/eel/q.png").string() + ": it is a GIF image",
               [&] { source->get(0, StreamKey()); });
  replace_file(scratch / "val/eel/q.png", "GIF89abcdef");
  expect_error(Fault::kData, "it has 11 bytes and had 6 when the images were listed",
               [&] { source->get(0, StreamKey()); });
}

TEST(ClassFolders, IdentityNamesContentAndNoPlace) {
  const Scratch scratch;
  DataConfig config = pets(scratch);
  const auto identity = [&] { return open_source(config, Split::kTrain)->identity().dump(); };
  const std::string before = identity();
  EXPECT_EQ(before.find(scratch.folder().string()), std::string::npos);
  std::filesystem::rename(scratch / "train", scratch / "moved");
  config.train = {"moved"};
  EXPECT_EQ(identity(), before);
  write_image(scratch, "moved/eel/f.png", 7);
  const std::string more = identity();
  EXPECT_NE(more, before);
  std::filesystem::rename(scratch / "moved/eel/f.png", scratch / "moved/eel/g.png");
  EXPECT_NE(identity(), more);
  config.augment.flip = true;
  EXPECT_NE(identity(), more);
}

TEST(ClassFolders, ABatchIsItsSamples) {
  const Scratch scratch;
  const auto source = open_source(pets(scratch), Split::kTrain);
  const std::vector<Sample> samples = {source->get(4, StreamKey()), source->get(1, StreamKey())};
  const Batch batch = source->collate(samples);
  EXPECT_EQ(batch.inputs.sizes(), (std::vector<int64_t>{2, 3, kSide, kSide}));
  EXPECT_TRUE(batch.inputs[1].equal(samples[1].input));
  EXPECT_EQ(batch.labels.const_data_ptr<int64_t>()[0], 2);
}

}  // namespace
}  // namespace acm::data
