#pragma once

#include "golden/case.h"

namespace golden {

// One test for each kind of case. What a kind's tensors mean stands in the notes of its JSON files.
void test_acm_layer(Case& golden);
void test_gate(Case& golden);
void test_phase1(Case& golden);
void test_phase1_sites(Case& golden);
void test_phase2(Case& golden);
void test_phase2_labels(Case& golden);
void test_phase3(Case& golden);
void test_cost_tables(Case& golden);
void test_cost_choices(Case& golden);
void test_optimizer(Case& golden);
void test_schedule(Case& golden);
void test_clip(Case& golden);
void test_topk(Case& golden);
void test_vit(Case& golden);
void test_vit_logits(Case& golden);
void test_vit_real(Case& golden);
void test_mixing(Case& golden);
void test_cutmix_boxes(Case& golden);
void test_cross_entropy(Case& golden);
void test_augmentation(Case& golden);
void test_image_preprocessing(Case& golden);
void test_image_files(Case& golden);

}  // namespace golden
