#pragma once

#include <string>
#include <vector>

#include "phases/model_sizes.h"

// wav2vec2-base on LibriSpeech for `acm_dist estimate`, by shapes alone: the program does not train speech yet.
namespace acm::app::speech {

inline constexpr const char* kName = "wav2vec2-base-librispeech";
inline constexpr int64_t kUtterances = 281'241;   // for training: 28,539 + 104,014 + 148,688 in 960 hours
inline constexpr int64_t kMeanSamples = 196'800;  // of an utterance: 12.3 s at 16 kHz
inline constexpr int64_t kTokens = 32;            // that CTC tells apart

// Frames that the feature encoder makes of so many samples of sound.
int64_t frames(int64_t samples);

// The paper's settings for speech (method.md 3 to 5), with the cache and the numbers of
// configs/vit_base_imagenet.toml: "section.key=value", before those of --set.
std::vector<std::string> settings();

// A Transformer of the sizes in [backbone] behind wav2vec2-base's feature encoder, which is frozen, with the head of
// facebook/wav2vec2-base-960h; of an utterance of the mean length.
phases::ModelShape shape(const phases::Settings& settings);

}  // namespace acm::app::speech
