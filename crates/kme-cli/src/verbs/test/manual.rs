//! Examples and notes of `kme test --help`.

pub(super) const EXAMPLES: &str = "\
Examples:
  kme test x.npy y.npy
  kme test fashion-mnist:test samples/ --features fashion-classifier --assert same
  kme test x.npy y.npy --kernel gaussian:sigma=median --permutations 9999
  kme test x.npy y.npy --method aggregated --kernel energy --kernel gaussian:sigma=1
  kme test huge-x.npy huge-y.npy --method block --block-size 500
  kme test data.kme new-model.kme old-model.kme --assert nearer
  kme test fashion fashion-mnist:train fashion-mnist:test --memorisation";

pub(super) const NOTES: &str = "\
Methods for two samples:
  aggregated   MMD^2 with many kernels at once, corrected for their number: finds
               differences at any scale; without --kernel, 8 Gaussians and 8
               Laplacians of all widths that occur among the points. The default
               up to 8000 points in total
  permutation  MMD^2 with one kernel: the one of an embedding, else
               gaussian:sigma=median. The default with one --kernel, and up to 80000
               points
  block        mean MMD^2 of blocks of points; takes time n times block size. The
               default above 80000 points, with blocks as large as the time of a
               permutation test of 80000 points allows
  linear       the same with pairs of points: fastest, and finds least
All methods are exact: they reject a true hypothesis with probability at most ALPHA, for any kernel, distribution and number
of points. p = (b + 1)/(N + 1), where b of N permutations reach the observed value; it is never 0. --seed draws permutations,
blocks and pairs.

The default takes about 6 seconds on two cores for 10000 points per sample in 64 dimensions, and a minute and a half for 40000
or more. A test that takes more than a minute says so, and says what would be faster.

Three samples:
The relative test of Bounliphone et al. compares MMD^2(A,B) - MMD^2(A,C) with its standard error, with a correction for
skewness: the asymptotic p-value. This is unreliable if B and C are nearly equal or small. There the guard counts, which is at
least the p-value of permuting B and C. In between, ln p is a mean of both with the printed weights. Above 40000 points of B and
C together, fewer permutations are made, at least 199. The default kernel is the one of an embedding, else KID's,
poly:degree=3,gamma=1/d,coef=1.

Memorisation:
Permutes the labels of training and held-out points, which is exact. A sample counts more the closer its nearest point is,
relative to the next four. Prints the estimated number of copies and the indices of the most suspicious samples, from 0. Training
and held-out points must come from one distribution: the test also detects a split by time or source.

Findings for --assert:
  two samples    differ, same
  three samples  nearer (B is nearer to A than C), not-nearer
  memorisation   copied, not-copied
same, not-nearer and not-copied only say that nothing was found. That does not prove that there is nothing: with more points the
test might find it.

JSON:
One object with metric, value, standard_error, statistic, p_value, permutations, reject, alpha, method, kernel or kernels, n, m,
features, protocol, seed, version and seconds. When standard_error is null, standard_error_missing names the reason. A statistic
is null if it is infinite. Three samples add asymptotic_p_value, guard_p_value, permutation_p_value and asymptotic_weight;
memorisation adds expected, copies, copies_standard_error, tied and suspects.";
