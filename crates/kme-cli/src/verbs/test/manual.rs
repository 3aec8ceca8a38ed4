//! What `kme test --help` says below the flags.

pub(super) const MANUAL: &str = "\
Examples:
  kme test x.npy y.npy
  kme test fashion-mnist:test samples/ --features fashion-classifier --assert same
  kme test x.npy y.npy --kernel gaussian:sigma=median --permutations 9999 --json
  kme test x.npy y.npy --method aggregated --kernel energy --kernel gaussian:sigma=1
  kme test huge-x.npy huge-y.npy --method block --block-size 500
  kme test data.kme new-model.kme old-model.kme --assert nearer
  kme test fashion fashion-mnist:train fashion-mnist:test --memorisation --assert not-copied

Methods for two samples:
  aggregated   unbiased MMD^2 of many kernels with the same permutations, corrected for their number:
               finds differences at any scale. Without --kernel eight Gaussians and eight Laplacians
               whose widths go from half the 1 % quantile of the distances of all points to twice
               the 95 % quantile. Says which kernels reject. The default without --kernel, up to
               8000 points together, since it does not ask for a scale.
  permutation  MMD^2 of one kernel (default: that of an embedding among the sources, otherwise
               gaussian:sigma=median). The default with one --kernel, and up to 80000 points
               together.
  block        mean of the MMD^2 of blocks of points, with permutations within blocks: time grows
               with the number of points times that in a block. The default above 80000 points, with
               blocks as large as the time of a permutation test of 80000 points allows; of a sample
               that is much larger than the other, points that would take longer are left out.
  linear       the same with pairs in the place of blocks, and changes of sign: sees least, takes
               least.
  The default takes about 6 seconds on two cores for 10000 points of each sample in 64 dimensions, and
  a minute and a half for 40000 or more of each. A test of more than a minute says so after a few
  seconds, and what would be faster.
  All are exact: a true hypothesis is rejected with a probability of at most ALPHA, for any kernel,
  distribution and number of points. p = (b + 1)/(N + 1), where b of N permutations of the points
  give at least the observed value; it is never 0. They, the points of blocks and the pairs are
  drawn by --seed. The value of the aggregated test is that of the kernel with the least p-value;
  of several equal ones, the one that is most standard errors above 0.

Three samples:
  The relative test of Bounliphone et al.: the difference MMD^2(A,B) - MMD^2(A,C) in its standard
  errors, by Student's law corrected for skewness: the asymptotic p. Where B and C have nearly the same
  distribution, or there are few points, that is not its law. There the guard p counts, which is at
  least that of permutations of the labels of B and C. Between the two, ln p is the mean of both by
  the weights that are printed. From 100 permutations on p goes below 1/(N + 1), where no permutation reaches the
  difference; above 40000 points of B and C fewer are made than asked for, at least 199, and that is
  told. Default kernel: that of the kernel inception distance, poly:degree=3,gamma=1/d,coef=1, or of
  an embedding among the sources.

Memorisation:
  Labels of training and held-out points are permuted, which is exact. Each sample counts the more
  the closer its nearest point is, compared with the next four. The number of copies is estimated,
  and the most suspicious samples are named (places from 0). Training and held-out points must
  come from one distribution: a split by time or source is found as well.

Findings for --assert:
  two samples    differ (the hypothesis is rejected), same (it is not)
  three samples  nearer (B is nearer to A than C: rejected), not-nearer
  memorisation   copied (rejected), not-copied
  A test can show a difference but never its absence: same, not-nearer and not-copied hold
  whenever nothing is found, also because there are too few points to find it.

JSON:
  One object with metric, value, standard_error, statistic, p_value, permutations, reject, alpha,
  method, kernel or kernels, n, m, features, protocol, seed, version and seconds. A statistic is null
  where it is infinite: each sample is one point many times, and they differ. Where standard_error
  is null, standard_error_missing says why. For three samples also asymptotic_p_value, guard_p_value,
  permutation_p_value and asymptotic_weight: the first counts with this weight, the second with the
  rest; for memorisation expected, copies, copies_standard_error (or copies_standard_error_missing),
  tied and suspects.";
