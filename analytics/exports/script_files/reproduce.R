# Compute every p-value of cells.csv again, from the other files of this export alone.
#
#   Rscript reproduce.R [DIRECTORY]
#
# DIRECTORY holds the exported CSV files (default: where this script lies). Needs subjects.csv,
# infusions.csv, labs_long.csv, scores.csv and cells.csv; nothing of the software that made
# them. Written for R 4.0 or newer with the packages that come with R, no other. Writes
# reproduced.csv beside the files.
#
# Exit status: 0 every p-value agrees, 1 one or more differ, 2 a file cannot be used.

TOLERANCE <- 1e-6 # relative
# Shapiro-Wilk of three values of which two are equal has p = 0 exactly, as the difference of two
# arcsines; every program prints what rounding leaves of it
NOTHING_OF_THREE <- 1e-12
ALPHA <- 0.05
LANDMARK_DAY <- 28 # infusions until this day, counted from the first, make the landmark group
PROLONGED_FROM <- 5 # infusions
SHAPIRO_MOST <- 5000 # Royston's approximation ends there
POOLED_AGE <- 90 # stands in a de-identified file for every age over 89
STRATA <- list(
  A = "A", B = "B", C = "C", D = "D", LF = c("A", "B"), LC = c("C", "D"), ALL = c("A", "B", "C", "D")
)
KEY <- c("population", "measure", "group1", "group2", "analyte", "week_from", "week_to")
P_VALUES <- c("p_value", "p_holm", "p_bh", "shapiro_p1", "shapiro_p2")
NEEDED <- list(
  subjects = c("subject_id", "sex", "age", "diagnosis", "group", "eligible", "treated", "landmark"),
  infusions = "subject_id",
  labs_long = c("subject_id", "week", "analyte", "value", "after_end"),
  scores = c("subject_id", "week", "score", "value", "after_end"),
  cells = c(KEY, P_VALUES, "n1", "n2", "method")
)

# --- the files -------------------------------------------------------------------------------

unusable <- function(...) {
  cat(..., "\n", sep = "")
  quit(status = 2, save = "no")
}

here <- function() {
  given <- commandArgs(trailingOnly = TRUE)
  if (length(given)) return(given[1])
  self <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))
  if (length(self)) dirname(self[1]) else "."
}

read <- function(directory, name) {
  path <- file.path(directory, paste0(name, ".csv"))
  if (!file.exists(path)) {
    unusable(path, " is not there; export the datasets ", paste(names(NEEDED), collapse = ", "), " as CSV")
  }
  # the bytes are taken as they are, so that it works whatever the locale of R
  rows <- read.csv(
    path, colClasses = "character", na.strings = character(), check.names = FALSE, encoding = "UTF-8"
  )
  names(rows)[1] <- sub("^\xef\xbb\xbf", "", names(rows)[1], useBytes = TRUE)
  lacking <- setdiff(NEEDED[[name]], names(rows))
  if (length(lacking)) unusable(path, " lacks the columns ", paste(lacking, collapse = ", "))
  rows
}

yes <- function(text) tolower(text) %in% c("t", "true", "1", "yes")

# A decimal becomes a whole number of millionths (values) or of 10^-10 (scores): doubles hold
# whole numbers exactly up to 2^53, so that equal decimals stay equal when they are subtracted.
counted <- function(text, places) round(as.numeric(text) * 10^places)

# Half-even to millionths, once, on whole numbers.
to_millionths <- function(x, places) {
  if (places == 6) return(x)
  step <- 10^(places - 6)
  low <- x %/% step
  rest <- x %% step
  low + (2 * rest > step | (2 * rest == step & low %% 2 == 1))
}

directory <- here()
cat(R.version.string, "\n")
cells <- read(directory, "cells")
subjects <- read(directory, "subjects")
infusions <- read(directory, "infusions")
labs <- read(directory, "labs_long")
scores <- read(directory, "scores")

subjects <- subjects[order(subjects$subject_id, method = "radix"), ]
ids <- subjects$subject_id
age <- counted(subjects$age, 6)
pooled <- if ("birth_date" %in% names(subjects)) integer() else which(age >= POOLED_AGE * 1e6)

# --- who is who ------------------------------------------------------------------------------

given_on <- if ("given_day" %in% names(infusions)) {
  as.numeric(infusions$given_day)
} else {
  as.numeric(as.Date(infusions$given_on)) # an identified export has dates
}
first_on <- tapply(given_on, infusions$subject_id, min)[infusions$subject_id]
early <- tapply(given_on <= first_on + LANDMARK_DAY, infusions$subject_id, sum)[ids]
early[is.na(early)] <- 0

until_landmark <- ifelse(
  subjects$diagnosis == "liver_failure",
  ifelse(early >= PROLONGED_FROM, "A", "B"),
  ifelse(early >= PROLONGED_FROM, "C", "D")
)
groups <- list(
  eligible = ifelse(yes(subjects$eligible), subjects$group, ""),
  treated = ifelse(yes(subjects$treated), subjects$group, ""),
  landmark = ifelse(yes(subjects$landmark), until_landmark, "")
)
member_rows <- lapply(groups, function(of) lapply(STRATA, function(codes) which(of %in% codes)))
members <- function(population, stratum) member_rows[[population]][[stratum]]

# --- values by week --------------------------------------------------------------------------

# A value counts at its week unless it was taken on or after death or transplantation. A value
# below or above a detection limit enters as the limit itself, which is what `value` holds.
weeks <- sort(unique(as.numeric(cells$week_from[cells$measure == "level"])))
by_week <- function(rows, code, places) {
  rows <- rows[rows$week != "" & rows$value != "" & !yes(rows$after_end), ]
  lapply(split(rows, rows[[code]]), function(of) {
    table <- matrix(NA_real_, length(ids), length(weeks))
    table[cbind(match(of$subject_id, ids), match(as.numeric(of$week), weeks))] <- counted(of$value, places)
    table
  })
}
values <- c(by_week(labs, "analyte", 6), by_week(scores, "score", 10))
places_of <- function(code) if (code %in% scores$score) 10 else 6
nothing <- matrix(NA_real_, length(ids), length(weeks))
of_weeks <- function(code) if (code %in% names(values)) values[[code]] else nothing

column <- function(code, start, end) {
  if (code == "age") return(age)
  table <- of_weeks(code)
  x <- table[, match(start, weeks)]
  if (start != end) x <- x - table[, match(end, weeks)]
  to_millionths(x, places_of(code))
}

# --- the rule of the paper -------------------------------------------------------------------

constant <- function(x) length(unique(x)) < 2
none <- list(method = "", p = NA_real_)

normal_p <- function(x) {
  judged <- head(x, SHAPIRO_MOST)
  if (length(x) < 3 || constant(judged)) return(NA_real_)
  # whole numbers around their median, so that no digit is lost to a distant zero
  shapiro.test(judged - sort(judged)[length(judged) %/% 2 + 1])$p.value
}
looks_normal <- function(sample) !is.na(sample$normal) && sample$normal >= ALPHA

# Levene's test about the means, as SPSS prints it: the analysis of variance of |x - mean|.
levene_p <- function(x, y) {
  distances <- c(abs(x - mean(x)), abs(y - mean(y)))
  side <- factor(rep(1:2, c(length(x), length(y))))
  suppressWarnings(anova(lm(distances ~ side)))[["Pr(>F)"]][1]
}

between <- function(a, b) {
  m <- length(a$x)
  n <- length(b$x)
  if (looks_normal(a) && looks_normal(b)) {
    shift <- min(a$x, b$x)
    levene <- levene_p(a$x - shift, b$x - shift)
    alike <- is.na(levene) || levene >= ALPHA
    p <- t.test(a$x - shift, b$x - shift, var.equal = alike)$p.value
    return(list(method = if (alike) "t_pooled" else "t_welch", p = p))
  }
  if (min(m, n) < 3 || constant(c(a$x, b$x))) return(none)
  if (2 / choose(m + n, m) >= ALPHA) {
    # all groups of m of the ranks, at most 40, ties and all
    ranks <- rank(c(a$x, b$x))
    sums <- 2 * combn(m + n, m, function(chosen) sum(ranks[chosen])) - m * (m + n + 1)
    p <- mean(abs(sums) >= abs(2 * sum(ranks[seq_len(m)]) - m * (m + n + 1)))
    return(list(method = "mannwhitney_exact", p = p))
  }
  list(
    method = "mannwhitney_asymptotic",
    p = wilcox.test(a$x, b$x, exact = FALSE, correct = FALSE)$p.value
  )
}

within_group <- function(d) {
  if (looks_normal(d)) return(list(method = "t_paired", p = t.test(d$x / 1e6)$p.value))
  kept <- d$x[d$x != 0]
  if (length(d$x) < 3 || !length(kept)) return(none)
  if (2 / 2^length(kept) >= ALPHA) {
    # all signs of the ranks, at most 32
    ranks <- rank(abs(kept))
    signs <- as.matrix(expand.grid(rep(list(0:1), length(kept))))
    off <- abs(2 * drop(signs %*% ranks) - sum(ranks))
    p <- mean(off >= abs(2 * sum(ranks[kept > 0]) - sum(ranks)))
    return(list(method = "signedrank_exact", p = p))
  }
  list(method = "signedrank_asymptotic", p = wilcox.test(kept, exact = FALSE, correct = FALSE)$p.value)
}

omnibus <- function(samples) {
  x <- unlist(lapply(samples, `[[`, "x"))
  sizes <- vapply(samples, function(s) length(s$x), 0)
  if (min(sizes) < 3 || constant(x)) return(none)
  group <- factor(rep(seq_along(samples), sizes))
  x <- x - min(x)
  if (all(vapply(samples, looks_normal, TRUE))) {
    return(list(method = "anova", p = oneway.test(x ~ group, var.equal = TRUE)$p.value))
  }
  list(method = "kruskal", p = kruskal.test(x, group)$p.value)
}

over_weeks <- function(blocks) {
  if (nrow(blocks) < 3 || all(apply(blocks, 1, constant))) return(none)
  list(method = "friedman", p = friedman.test(blocks)$p.value)
}

shares <- function(counts) {
  n <- sum(counts)
  if (n == 0 || any(rowSums(counts) == 0) || any(colSums(counts) == 0)) return(none)
  least <- min(rowSums(counts)) * min(colSums(counts)) / n
  pearson <- function(correct) suppressWarnings(chisq.test(counts, correct = correct))$p.value
  if (nrow(counts) > 2) return(list(method = "chi2", p = pearson(FALSE)))
  if (n < 40 || least < 1) return(list(method = "fisher", p = fisher.test(counts)$p.value))
  if (least < 5) return(list(method = "chi2_yates", p = pearson(TRUE)))
  list(method = "chi2", p = pearson(FALSE))
}

# --- every row of cells.csv ------------------------------------------------------------------

kept <- new.env(hash = TRUE) # whatever two rows share is computed once
once <- function(name, make) {
  if (is.null(kept[[name]])) kept[[name]] <- make()
  kept[[name]]
}
# two populations with the same members share what is computed of them
alias <- local({
  known <- character()
  function(population, stratum) {
    rows <- paste(members(population, stratum), collapse = " ")
    if (!rows %in% known) known <<- c(known, rows)
    match(rows, known)
  }
})
numbers <- lapply(
  setNames(nm = names(groups)), function(p) vapply(names(STRATA), function(s) alias(p, s), 0L)
)
sample_of <- function(population, stratum, code, start, end) {
  once(paste("sample", numbers[[population]][[stratum]], code, start, end), function() {
    x <- once(paste("column", code, start, end), function() column(code, start, end))
    x <- x[members(population, stratum)]
    x <- x[!is.na(x)]
    list(x = x, normal = normal_p(x))
  })
}
men_and_women <- function(population, stratum) {
  sex <- subjects$sex[members(population, stratum)]
  c(sum(sex == "M"), sum(sex == "F"))
}

one_row <- function(population, measure, group1, group2, code, start, end) {
  found <- list(method = "", p = NA_real_, n = c(NA, NA), normal = c(NA_real_, NA_real_))
  strata <- c(group1, if (group2 != "") group2)
  four <- group1 == "ALL" && start == end
  if (code == "subjects") {
    found$n[1] <- length(members(population, group1))
    return(found)
  }
  if (code == "sex") {
    counts <- t(vapply(strata, function(s) men_and_women(population, s), c(0L, 0L)))
    found$n[seq_along(strata)] <- rowSums(counts)
    if (four) counts <- t(vapply(STRATA$ALL, function(s) men_and_women(population, s), c(0L, 0L)))
    if (nrow(counts) > 1) found[c("method", "p")] <- shares(counts)
    return(found)
  }
  if (measure == "level" && start != end) {
    blocks <- of_weeks(code)[members(population, group1), , drop = FALSE]
    blocks <- blocks[rowSums(is.na(blocks)) == 0, , drop = FALSE]
    found$n[1] <- nrow(blocks)
    found[c("method", "p")] <- over_weeks(blocks)
    return(found)
  }
  samples <- lapply(strata, function(s) sample_of(population, s, code, start, end))
  found$n[seq_along(strata)] <- vapply(samples, function(s) length(s$x), 0)
  found$normal[seq_along(strata)] <- vapply(samples, function(s) s$normal, 0)
  chosen <- if (group2 != "") {
    between(samples[[1]], samples[[2]])
  } else if (start != end) {
    within_group(samples[[1]])
  } else if (four) {
    omnibus(lapply(STRATA$ALL, function(s) sample_of(population, s, code, start, end)))
  } else {
    none
  }
  found[c("method", "p")] <- chosen
  found
}

theirs <- lapply(cells[P_VALUES], as.numeric)
mine <- cells[KEY]
mine$method <- ""
mine[c("n1", "n2")] <- NA_integer_
mine[P_VALUES] <- NA_real_
columns <- as.list(mine)
hidden <- logical(nrow(cells))
for (i in seq_len(nrow(cells))) {
  group1 <- cells$group1[i]
  group2 <- cells$group2[i]
  population <- cells$population[i]
  start <- as.numeric(cells$week_from[i])
  end <- as.numeric(cells$week_to[i])
  name <- paste(
    "row", numbers[[population]][[group1]], if (group2 != "") numbers[[population]][[group2]] else 0,
    if (group1 == "ALL") paste(numbers[[population]][STRATA$ALL], collapse = " ") else "",
    cells$measure[i], cells$analyte[i], start, end
  )
  found <- once(
    name, function() one_row(population, cells$measure[i], group1, group2, cells$analyte[i], start, end)
  )
  if (cells$analyte[i] == "age" && length(pooled)) {
    strata <- c(group1, if (group2 != "") group2)
    if (any(pooled %in% unlist(lapply(strata, function(s) members(population, s))))) {
      # cannot be computed without the true age; the family goes on with the file's own p-value
      hidden[i] <- TRUE
      found$method <- cells$method[i]
      found$p <- theirs$p_value[i]
      found$normal <- c(theirs$shapiro_p1[i], theirs$shapiro_p2[i])
    }
  }
  columns$method[i] <- found$method
  columns$n1[i] <- found$n[1]
  columns$n2[i] <- found$n[2]
  columns$p_value[i] <- found$p
  columns$shapiro_p1[i] <- found$normal[1]
  columns$shapiro_p2[i] <- found$normal[2]
}
mine <- as.data.frame(columns, stringsAsFactors = FALSE)

# Holm over the weeks of one quantity, Benjamini-Hochberg over all quantities as well; the
# comparisons of all weeks at once are families of their own.
tested <- !is.na(mine$p_value)
all_weeks <- mine$measure == "level" & mine$week_from != mine$week_to
wide <- paste(mine$population, mine$measure, mine$group1, mine$group2, all_weeks)
narrow <- paste(wide, mine$analyte)
adjusted <- function(family, method) ave(mine$p_value[tested], family[tested], FUN = function(p) p.adjust(p, method))
if (any(tested)) {
  mine$p_holm[tested] <- adjusted(narrow, "holm")
  mine$p_bh[tested] <- adjusted(wide, "BH")
}

# --- what agrees -----------------------------------------------------------------------------

as_text <- function(x) ifelse(is.na(x), "", as.character(x))
for (name in P_VALUES) mine[[name]] <- as.numeric(mine[[name]])
written <- mine
for (name in P_VALUES) written[[name]] <- ifelse(is.na(mine[[name]]), "", sprintf("%.17g", mine[[name]]))
for (name in c("n1", "n2")) written[[name]] <- as_text(mine[[name]])
written$from_cells <- ifelse(hidden, "t", "f")
write.csv(written, file.path(directory, "reproduced.csv"), row.names = FALSE, quote = FALSE)

wrong <- matrix(FALSE, nrow(cells), 0)
for (name in c("method", "n1", "n2")) {
  wrong <- cbind(wrong, as_text(mine[[name]]) != cells[[name]])
}
cat(sprintf("%-12s%10s%10s  %s\n", "column", "p-values", "equal", "largest relative difference"))
p_values <- 0
equal <- 0
largest <- 0
for (name in P_VALUES) {
  x <- mine[[name]]
  y <- theirs[[name]]
  gap <- ifelse(x == y, 0, abs(x - y) / pmax(abs(x), abs(y)))
  gap[is.na(gap)] <- Inf
  gap[is.na(x) & is.na(y)] <- 0
  gap[hidden] <- 0
  if (name %in% c("shapiro_p1", "shapiro_p2")) {
    of_three <- mine[[sub("shapiro_p", "n", name)]] == 3 & pmax(x, y) < NOTHING_OF_THREE
    gap[which(of_three)] <- 0
  }
  there <- !(is.na(x) & is.na(y)) & !hidden
  wrong <- cbind(wrong, gap > TOLERANCE)
  of_column <- if (any(there)) max(gap[there]) else 0
  cat(sprintf("%-12s%10d%10d  %.2g\n", name, sum(there), sum(there & gap <= TOLERANCE), of_column))
  p_values <- p_values + sum(there)
  equal <- equal + sum(there & gap <= TOLERANCE)
  largest <- max(largest, of_column)
}
colnames(wrong) <- c("method", "n1", "n2", P_VALUES)
wrong[hidden, ] <- FALSE
for (i in which(rowSums(wrong) > 0)) {
  cat("differs:", ifelse(unlist(cells[i, KEY]) == "", "-", unlist(cells[i, KEY])), "\n")
  for (name in colnames(wrong)[wrong[i, ]]) {
    cat("    ", name, ": cells.csv ", cells[i, name], ", reproduced ", as_text(mine[i, name]), "\n", sep = "")
  }
}
different <- sum(rowSums(wrong) > 0)
cat(sprintf(
  "p-values: %d; equal to 1e-06 relative: %d; largest relative difference: %.2g; rows that differ: %d\n",
  p_values, equal, largest, different
))
if (any(hidden)) {
  cat(sprintf(
    "not reproducible from this file: %d rows of age, because %d subjects are over 89 and a de-identified file pools their ages as 90\n",
    sum(hidden), length(pooled)
  ))
}
quit(status = if (different) 1 else 0, save = "no")
