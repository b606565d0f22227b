/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Mutation builds: `meson -Dmutate=NAME` turns MUTATION(NAME) into 1, so that the one check it guards is skipped and the test
 * that claims to see that check must fail. In every other build it is the constant 0.
 *
 *         if (!MUTATION(userns_owner) && owner != slot.supervisor)
 *                 return -EPERM;
 *
 * Works without a list of names: MUTATE_NAME is defined as 1 only by the header of such a build, and the preprocessor tells 1
 * from an undefined word. */

#ifdef MUTATIONS
#include MUTATIONS
#endif

#define MUTATION_SECOND_(a, b, ...) b
#define MUTATION_TEST_(...) MUTATION_SECOND_(__VA_ARGS__, 0, 0)
#define MUTATION_PROBE_1 0, 1
#define MUTATION_JOIN_(x) MUTATION_PROBE_##x
#define MUTATION_EXPAND_(x) MUTATION_TEST_(MUTATION_JOIN_(x))
#define MUTATION(name) MUTATION_EXPAND_(MUTATE_##name)
