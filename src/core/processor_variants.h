#pragma once

// Before a function definition: it is compiled for several kinds of x86-64 processors (AVX-512, AVX2, any), and the
// loader takes the best that the machine runs. For loops over plain numbers that the compiler turns into vector
// instructions by itself. The sanitizers run before the loader has chosen, and clang spells it otherwise: there the
// function is compiled once.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define ACM_PROCESSOR_VARIANTS __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define ACM_PROCESSOR_VARIANTS
#endif
