#pragma once

#include <filesystem>

#include "acm/model.h"
#include "data/source.h"
#include "phases/run.h"

namespace acm::phases {

// Error(kUsage) where the model read from `file` was made for other inputs than those of `source`, or tells fewer
// classes apart than it has labels for. Preprocessing that the model does not know (another library's weights) fits.
void check_fits(const Model& model, const std::filesystem::path& file, const data::DataSource& source);

// What to say where the model tells more classes apart than the data have, as a subset in folders of classes does,
// whose numbers may then be others than the model's; empty where they agree.
std::string doubt_of_classes(const Model& model, const data::DataSource& source);

// How weights of another library become a model for these data.
nn::ImportOptions import_options(const Settings& settings, const data::DataSource& source);

// Rank 0: says in the log what was found in a teacher of another library, and what was changed in it.
void log_teacher(const Run& run);

// The dense model whose activations phases 1 and 2 learn from; Error(kUsage) where the file holds an ACM model already.
// The preprocessing of the run's data becomes that of a model that does not know its own.
Model load_teacher(const Run& run);
// For plans: the teacher, or where its file is not there yet a dense backbone of the settings.
std::shared_ptr<nn::Backbone> teacher_or_new(const Run& run);

}  // namespace acm::phases
