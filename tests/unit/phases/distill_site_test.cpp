#include "phases/distill_site.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "train/trainer.h"
#include "unit/core/scratch.h"
#include "unit/phases/small_run.h"

namespace acm::phases {
namespace {

class DistillSiteTest : public testing::Test {
 protected:
  // Trains one site by itself; gives the digest of the learners that it leaves.
  std::string train(const std::string& name, const std::string& site_name, const SmallRun::Adjust& adjust) {
    make_folder(scratch_ / name);
    SmallRun small(scratch_ / name, *solo_, adjust);
    const auto run = small.run(*solo_);
    save_dense_model(run);
    Capture capture(run);
    EXPECT_TRUE(capture.fill());
    CacheReader reader(capture, small.log);
    const auto& site = capture.teacher().sites()[nn::site_index(capture.teacher(), site_name)];
    DistillSite phase(run, site, reader, *solo_);
    EXPECT_EQ(phase.site(), site_name);
    const auto threads = phase.threads();
    train::MetricsFile metrics(scratch_ / name / "metrics.jsonl");
    train::Trainer trainer(phase, phase.trainer_config(), {*solo_, *solo_}, run.folder.site(site_name),
                           {small.log, small.progress, &metrics});
    EXPECT_EQ(trainer.run({}, phase.steps()), train::Outcome::kFinished);
    return digest_of_file(DistillSite::learners_file(run.folder, site_name));
  }
  double loss_of_row(const std::string& name, bool last) const {
    const auto text = read_file(scratch_ / name / "metrics.jsonl");
    const auto begin = last ? text.rfind('\n', text.size() - 2) + 1 : 0;
    return Json::parse(text.substr(begin, text.find('\n', begin) - begin), "metrics.jsonl").at("loss").as_double();
  }

  const Scratch scratch_;
  const std::unique_ptr<comm::Communicator> solo_ = comm::make_solo_communicator();
};

TEST_F(DistillSiteTest, LearnsToImitateItsSite) {
  for (const char* objective : {"nested", "greedy"}) {
    train(objective, "blocks.1.ffn", [&](Settings& s) {
      s.distill.objective = objective;
      s.distill.steps = 60;
      s.distill.learning_rate = 0.05;
    });
    EXPECT_LT(loss_of_row(objective, true), 0.8 * loss_of_row(objective, false)) << objective;
  }
}

TEST_F(DistillSiteTest, LeavesTheLearnersOfItsSite) {
  train("run", "blocks.0.k", [](Settings& s) { s.acm.output_bias = true; });
  const auto tensors =
      io::SafetensorsFile(DistillSite::learners_file(RunFolder(scratch_ / "run"), "blocks.0.k")).read_all();
  ASSERT_EQ(tensors.size(), 4u);
  EXPECT_EQ(tensors.at("w1").sizes(), (std::vector<int64_t>{8, 4}));  // two learners of (8 x 8 + 8) / (2 x 17) units
  EXPECT_EQ(tensors.at("b2").sizes(), (std::vector<int64_t>{2, 8}));
  EXPECT_EQ(tensors.at("w2").scalar_type(), at::kDouble);
}

// Large enough that LibTorch splits the work: 4096 rows of 32 numbers. With three learners those of q are 5 wide, and
// samples that pass the teacher alone have 5 rows: sides at which MKL's float32 product of matrices has other bits with
// other threads.
TEST_F(DistillSiteTest, TheNumberOfThreadsChangesNoByte) {
  const int before = at::get_num_threads();
  for (const int64_t learners : {2, 3}) {
    const auto large = [&](Settings& s) {
      s.precision = "float32";
      s.backbone.width = 32;
      s.backbone.hidden = 64;
      s.acm.learners = learners;
      s.cache.samples = 12;
      s.cache.micro_batch = learners == 3 ? 1 : 4;
      s.distill.batch = 4096;
      s.distill.steps = 4;
    };
    for (const std::string site : {"blocks.0.q", "blocks.1.ffn"}) {
      const auto folder = site + "-" + std::to_string(learners);
      at::set_num_threads(1);
      const auto one = train("one-" + folder, site, large);
      at::set_num_threads(2);
      ASSERT_EQ(at::get_num_threads(), 2);
      EXPECT_EQ(train("two-" + folder, site, large), one) << folder;
      EXPECT_EQ(at::get_num_threads(), 2);
    }
  }
  at::set_num_threads(before);
}

TEST_F(DistillSiteTest, EachSiteStartsFromLearnersOfItsOwn) {
  SmallRun small(scratch_.folder(), *solo_, [](Settings& s) { s.acm.init = "random"; });
  const auto run = small.run(*solo_);
  save_dense_model(run);
  Capture capture(run);
  ASSERT_TRUE(capture.fill());
  CacheReader reader(capture, small.log);
  const auto start_of = [&](const std::string& name) {
    DistillSite phase(run, capture.teacher().sites()[nn::site_index(capture.teacher(), name)], reader, *solo_);
    phase.start();
    return phase.parameter_groups()[0].parameters[0].tensor;
  };
  EXPECT_TRUE(start_of("blocks.0.q").equal(start_of("blocks.0.q")));
  EXPECT_FALSE(start_of("blocks.0.q").equal(start_of("blocks.0.k")));
  const auto before = start_of("blocks.0.q");
  small.settings.seed = 4;
  EXPECT_FALSE(start_of("blocks.0.q").equal(before));
  small.settings.acm.init = "teacher";
  EXPECT_FALSE(start_of("blocks.0.q").equal(start_of("blocks.0.k")));
}

TEST_F(DistillSiteTest, TrainingAgainGivesTheSameBytes) {
  EXPECT_EQ(train("again", "blocks.0.q", {}), train("once", "blocks.0.q", {}));
}

}  // namespace
}  // namespace acm::phases
