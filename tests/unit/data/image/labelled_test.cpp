#include <gtest/gtest.h>

#include "unit/core/expect_error.h"
#include "unit/data/image/image_folder.h"

namespace acm::data {
namespace {

DataConfig flat(const Scratch& scratch, const std::string& labels) {
  write_image(scratch, "images/b.png", 2);
  write_image(scratch, "images/a.png", 1);
  write_image(scratch, "images/sub/c.png", 3);
  replace_file(scratch / "labels", labels);
  DataConfig config = image_config(scratch, "labelled");
  config.train = config.test = {"images", "labels"};
  return config;
}

Contents read(const DataConfig& config) { return contents(*open_source(config, Split::kTest)); }

void expect_refused(const DataConfig& config, const std::string& part, Fault fault = Fault::kData) {
  expect_error(fault, part, [&] { open_source(config, Split::kTest); });
}

TEST(Labelled, NamesAndNumbers) {
  const Scratch scratch;
  DataConfig config = flat(scratch, "b.png 7\n\nsub/c.png\t5\r\n./a 0\n");
  EXPECT_EQ(read(config), (Contents{"1:0", "2:7", "3:5"}));
  EXPECT_EQ(open_source(config, Split::kTest)->classes(), 8);
  config.first_label = 1;
  expect_refused(config, "one is 0, and data.first_label says that classes count from 1");
}

// As ILSVRC2012_validation_ground_truth.txt.
TEST(Labelled, OneNumberALineInSortedOrder) {
  const Scratch scratch;
  DataConfig config = flat(scratch, "3\n1\n2\n");
  config.first_label = 1;
  EXPECT_EQ(read(config), (Contents{"1:2", "2:0", "3:1"}));
  replace_file(scratch / "labels", "3\n1\n");
  expect_refused(config, "it has 2 labels, one a line, and " + (scratch / "images").string() + " holds 3 images");
  replace_file(scratch / "labels", "3\n1\n2\n1\n");
  expect_refused(config, "it has 4 labels");
}

TEST(Labelled, NamesOfClasses) {
  const Scratch scratch;
  DataConfig config = flat(scratch, "a.png fox\nb.png ant\nsub/c.png fox\n");
  EXPECT_EQ(read(config), (Contents{"1:1", "2:0", "3:1"}));
  // The test split has fewer labels and keeps the numbers of the training split.
  replace_file(scratch / "test-labels", "a.png fox\n");
  config.test = {"images", "test-labels"};
  std::vector<std::string> said;
  const auto source = open_source(config, Split::kTest, {}, [&](const std::string& line) { said.push_back(line); });
  EXPECT_EQ(contents(*source), (Contents{"1:1"}));
  EXPECT_EQ(source->classes(), 2);
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said[0].find("2 images of "), 0U) << said[0];
  replace_file(scratch / "names", "fox\nbee\nant\n");
  config.class_names = "names";
  EXPECT_EQ(read(config), (Contents{"1:0"}));
  replace_file(scratch / "test-labels", "a.png owl\n");
  expect_refused(config, "cannot tell the class of 'owl' in " + (scratch / "test-labels").string());
}

TEST(Labelled, CsvWithQuotesAndColumns) {
  const Scratch scratch;
  DataConfig config = flat(scratch,
                           "\xef\xbb\xbfId,Note,True\r\n"
                           "a,\"one, \"\"two\"\"\nand three\",4\r\n"
                           "b.png,,2\r\n"
                           "sub/c,x,1");
  config.image_column = "Id";
  config.label_column = "True";
  config.first_label = 1;
  EXPECT_EQ(read(config), (Contents{"1:3", "2:1", "3:0"}));
  config.label_column = "Class";
  expect_refused(config, "it has no column 'Class'; its columns are Id, Note, True");
  config.label_column = "";
  expect_refused(config, "name its columns in data.image_column and data.label_column", Fault::kUsage);
  config.label_column = "True";
  replace_file(scratch / "labels", "Id,True\na,1,2\n");
  expect_refused(config, "line 2 has 3 fields and the first 2");
  replace_file(scratch / "labels", "Id,True\na,\"1\n");
  expect_refused(config, "a quote of the row at line 2 is never closed");
}

TEST(Labelled, NamesWhatDoesNotFit) {
  const Scratch scratch;
  expect_refused(flat(scratch, "a.png 1\nz.png 2\n"), "line 2 names the image 'z.png', which is not in");
  expect_refused(flat(scratch, "a.png 1\na 2\n"), "line 2 labels the image 'a' for the second time");
  expect_refused(flat(scratch, "a.png 1\nb.png\n"), "line 2 has no label after the name");
  expect_refused(flat(scratch, "1\nb.png 2\n"), "line 2 is not one label alone");
  expect_refused(flat(scratch, "\n"), "it is empty");
  write_image(scratch, "images/a.jpg", 4);
  expect_refused(flat(scratch, "a 1\n"), "line 1 could mean several images called 'a'");
  DataConfig config = flat(scratch, "a.png 1\n");
  config.test = {"images"};
  expect_refused(config, "it is a folder and a file of labels", Fault::kUsage);
}

}  // namespace
}  // namespace acm::data
