#pragma once

namespace acm {

// Has the heap keep what is freed, for the next tensor of that size. To be called before there are threads. By default
// glibc fetches every large block from the system and hands it back when it is freed, so each step of training touches
// all its memory anew, a page fault for every 4 KB: a fifth of a step of phase 3 and half of one of phase 2 (ViT-Ti,
// batch 16, glibc 2.36). The process stays as large as it was at its largest.
void keep_freed_memory();

}  // namespace acm
