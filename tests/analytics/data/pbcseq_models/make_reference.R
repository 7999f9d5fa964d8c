# Reference numbers for analytics/survival.py, cox.py, ancova.py and mixed.py.
#
#   Rscript make_reference.R        (R 4.2 with survival, cmprsk, lme4 and nlme; run in this directory)
#
# Labs, sexes and infusions are those of ../pbcseq. The outcomes are real too (survival::pbcseq:
# futime, status), but years long; to put events around the fifth infusion on day 28, and to make
# ties, a day here is twenty days there, rounded up. An event on the day of origin counts half a
# day after it. Writes follow_up.csv and reference.csv.

suppressMessages({library(survival); library(cmprsk); library(lme4); library(nlme)})
options(digits = 17, warn = 1)

subjects <- read.csv("../pbcseq/subjects.csv")
infusions <- read.csv("../pbcseq/infusions.csv")
visits <- read.csv("../pbcseq/visits.csv")
real <- pbcseq[!duplicated(pbcseq$id), ]
stopifnot(nrow(real) == nrow(subjects), max(abs(real$age - subjects$age)) < 0.0051)

given <- table(infusions$subject_id)[subjects$subject_id]
subjects$prolonged <- as.integer(given >= 5)
subjects$group <- ifelse(subjects$diagnosis == "liver_failure",
                         ifelse(given >= 5, "A", "B"), ifelse(given >= 5, "C", "D"))
day <- as.Date(infusions$given_on)
first <- tapply(day, infusions$subject_id, min)[subjects$subject_id]
fifth <- day[infusions$number == 5][match(subjects$subject_id, infusions$subject_id[infusions$number == 5])]
subjects$fifth <- as.integer(fifth) - as.integer(first)
subjects$days <- ceiling(real$futime / 20)
subjects$status <- c(0, 2, 1)[real$status + 1]  # 0 followed, 1 died, 2 transplanted
write.csv(subjects[c("subject_id", "days", "status")], "follow_up.csv", row.names = FALSE, quote = FALSE)

rows <- list()
put <- function(analysis, comparison, term, quantity, value, at = "")
  rows[[length(rows) + 1]] <<- data.frame(analysis, comparison, term, at = as.character(at), quantity,
                                          value = sprintf("%.15g", value))
half <- function(time) ifelse(time == 0, 0.5, time)
pairs <- list("A-B" = c("A", "B"), "C-D" = c("C", "D"), "A-C" = c("A", "C"), "B-D" = c("B", "D"))
members <- function(data, key) {
  if (key == "LF-LC") {
    data$arm <- ifelse(data$diagnosis == "liver_failure", 1, 0); data
  } else {
    data <- data[data$group %in% pairs[[key]], ]
    data$arm <- as.integer(data$group == pairs[[key]][1]); data
  }
}
KEYS <- c(names(pairs), "LF-LC")
AT <- c(7, 28, 84, 168)
CAUSES <- c(death = 1, transplant = 2)
z <- qnorm(0.975)

# --- cumulative incidence, Gray's test, overall survival, log-rank

survival_of <- function(data, name, key) {
  time <- half(data$time)
  fit <- cuminc(time, data$status, data$arm, cencode = 0)
  for (cause in names(CAUSES)) {
    test <- fit$Tests[as.character(CAUSES[cause]), ]
    put(name, key, cause, "gray", test["stat"]); put(name, key, cause, "gray_p", test["pv"])
    for (arm in c(1, 0)) {
      got <- timepoints(fit[paste(arm, CAUSES[cause])], AT)
      for (k in seq_along(AT)) {
        f <- got$est[1, k]; v <- got$var[1, k]
        if (is.na(f)) next
        term <- paste0(cause, arm)
        put(name, key, term, "incidence", f, AT[k])
        put(name, key, term, "incidence_se", sqrt(v), AT[k])
        if (f > 0) {
          theta <- z * sqrt(v) / (f * log(f))
          put(name, key, term, "incidence_low", f^exp(-theta), AT[k])
          put(name, key, term, "incidence_high", f^exp(theta), AT[k])
        }
        put(name, key, term, "at_risk", sum(data$arm == arm & time >= AT[k]), AT[k])
      }
    }
  }
  s <- survdiff(Surv(time, data$status == 1) ~ data$arm)
  put(name, key, "survival", "logrank", s$chisq)
  put(name, key, "survival", "logrank_p", pchisq(s$chisq, 1, lower.tail = FALSE))
  for (arm in c(1, 0)) {
    km <- summary(survfit(Surv(time, data$status == 1) ~ 1, subset = data$arm == arm, conf.type = "log-log"),
                  times = AT, extend = FALSE)
    for (k in seq_along(km$time)) {
      term <- paste0("survival", arm)
      put(name, key, term, "km", km$surv[k], km$time[k])
      put(name, key, term, "km_se", km$std.err[k], km$time[k])
      if (km$surv[k] < 1) {
        put(name, key, term, "km_low", km$lower[k], km$time[k])
        put(name, key, term, "km_high", km$upper[k], km$time[k])
      }
    }
  }
}
treated <- transform(subjects, time = days)
reached <- subset(transform(subjects, time = days - 28), time >= 0)
reached$prolonged <- as.integer(!is.na(reached$fifth) & reached$fifth <= 28)
reached$group <- ifelse(reached$diagnosis == "liver_failure",
                        ifelse(reached$prolonged == 1, "A", "B"), ifelse(reached$prolonged == 1, "C", "D"))
for (key in KEYS) {
  survival_of(members(treated, key), "treated", key)
  survival_of(members(reached, key), "landmark", key)
}
four <- cuminc(half(treated$time), treated$status, treated$group, cencode = 0)
for (cause in names(CAUSES)) {
  put("treated", "A-B-C-D", cause, "gray", four$Tests[as.character(CAUSES[cause]), "stat"])
  put("treated", "A-B-C-D", cause, "gray_p", four$Tests[as.character(CAUSES[cause]), "pv"])
}

# --- Cox: course as given in the end, at the landmark, and as a state that begins with the fifth infusion

control <- coxph.control(eps = 1e-14, toler.chol = 1e-16, iter.max = 100)
cox_of <- function(fit, name, key) {
  s <- summary(fit)$coefficients["arm", ]
  put(name, key, "arm", "log_ratio", s["coef"]); put(name, key, "arm", "se", s["se(coef)"])
  put(name, key, "arm", "p", s["Pr(>|z|)"])
}
for (key in c("A-B", "C-D")) for (ties in c("efron", "breslow")) {
  data <- members(treated, key)
  cox_of(coxph(Surv(half(time), status > 0) ~ arm, data, ties = ties, control = control),
         paste0("cox_naive_", ties), key)
  cox_of(coxph(Surv(half(time), status > 0) ~ arm, members(reached, key), ties = ties, control = control),
         paste0("cox_landmark_", ties), key)
  switched <- !is.na(data$fifth) & data$fifth < data$time
  long <- rbind(
    data.frame(start = 0, stop = ifelse(switched, data$fifth, half(data$time)),
               event = ifelse(switched, FALSE, data$status > 0), arm = 0),
    data.frame(start = data$fifth, stop = data$time, event = data$status > 0, arm = 1)[switched, ])
  cox_of(coxph(Surv(start, stop, event) ~ arm, long, ties = ties, control = control),
         paste0("cox_time_dependent_", ties), key)
  put(paste0("cox_time_dependent_", ties), key, "arm", "person_days", sum((long$stop - long$start)[long$arm == 1]))
}

# --- log TBIL: ANCOVA at a week, ANCOVA from the landmark value, mixed model over all visits

wide <- merge(subjects, reshape(visits[c("subject_id", "week", "tbil")], idvar = "subject_id",
                                timevar = "week", direction = "wide"), by = "subject_id")
hc3 <- function(fit) {
  x <- model.matrix(fit); bread <- solve(crossprod(x))
  e <- resid(fit) / (1 - hatvalues(fit)); sqrt(diag(bread %*% crossprod(x * e) %*% bread))
}
ancova <- function(data, name, key, week, before) {
  fit <- lm(log(data[[paste0("tbil.", week)]]) ~ log(data[[paste0("tbil.", before)]]) + data$arm)
  s <- summary(fit)$coefficients; ci <- confint(fit); h <- hc3(fit)
  put(name, key, "arm", "n", length(resid(fit)), week)
  for (k in 1:3) {
    term <- c("intercept", "before", "arm")[k]
    put(name, key, term, "estimate", s[k, 1], week); put(name, key, term, "se", s[k, 2], week)
    put(name, key, term, "p", s[k, 4], week)
    put(name, key, term, "low", ci[k, 1], week); put(name, key, term, "high", ci[k, 2], week)
    put(name, key, term, "se_hc3", h[k], week)
    put(name, key, term, "p_hc3", 2 * pt(-abs(s[k, 1] / h[k]), fit$df.residual), week)
  }
}
landmark_wide <- transform(merge(reached[c("subject_id", "diagnosis", "group")], wide[c("subject_id",
  grep("tbil", names(wide), value = TRUE))], by = "subject_id"))
for (key in KEYS) {
  for (week in c(4, 12, 24)) ancova(members(wide, key), "ancova", key, week, 0)
  for (week in c(12, 24)) ancova(members(landmark_wide, key), "ancova_landmark", key, week, 4)
}

mixed <- function(key, slope) {
  data <- members(merge(visits[!is.na(visits$tbil), ], subjects, by = "subject_id"), key)
  data$y <- log(data$tbil); data$t <- data$week / 24; data$week <- factor(data$week)
  formula <- if (slope) y ~ week * arm + (1 + t | subject_id) else y ~ week * arm + (1 | subject_id)
  start <- lmer(formula, data, REML = TRUE)
  devfun <- lmer(formula, data, REML = TRUE, devFunOnly = TRUE)
  # the optimum by repeated derivative-free descents, then the model there
  theta <- getME(start, "theta")
  for (again in 1:6) theta <- if (slope)
    minqa::bobyqa(theta, devfun, lower = c(0, -Inf, 0), control = list(rhobeg = 1e-2 / 10^again, rhoend = 1e-13, maxfun = 20000))$par
    else optimize(devfun, theta * c(1 - 0.1 / 10^again, 1 + 0.1 / 10^again), tol = 1e-14)$minimum
  # Newton steps on central differences (Richardson) take it to the last digits of the deviance
  slope_at <- function(x) sapply(seq_along(x), function(k) {
    d <- function(h) { e <- replace(numeric(length(x)), k, h); (devfun(x + e) - devfun(x - e)) / (2 * h) }
    (4 * d(1e-3) - d(2e-3)) / 3
  })
  for (again in 1:5) {
    h <- sapply(seq_along(theta), function(k) {
      e <- replace(numeric(length(theta)), k, 1e-2); (slope_at(theta + e) - slope_at(theta - e)) / 2e-2 })
    theta <- theta - as.numeric(solve(h, slope_at(theta)))
  }
  parsed <- lFormula(formula, data, REML = TRUE)
  d <- do.call(mkLmerDevfun, parsed)
  fit <- mkMerMod(environment(d), list(par = theta, fval = d(theta), conv = 0, message = ""), parsed$reTrms, parsed$fr)
  name <- if (slope) "mixed_slope" else "mixed_intercept"
  beta <- fixef(fit); se <- sqrt(diag(as.matrix(vcov(fit))))
  for (k in names(beta)) { put(name, key, k, "estimate", beta[k]); put(name, key, k, "se", se[k]) }
  v <- as.data.frame(VarCorr(fit))
  put(name, key, "residual", "variance", v$vcov[v$grp == "Residual"])
  put(name, key, "intercept", "variance", v$vcov[which(v$var1 == "(Intercept)" & is.na(v$var2))])
  if (slope) {
    put(name, key, "slope", "variance", v$vcov[which(v$var1 == "t" & is.na(v$var2))])
    put(name, key, "intercept_slope", "covariance", v$vcov[which(v$var1 == "(Intercept)" & v$var2 == "t")])
  }
  put(name, key, "all", "reml_log_likelihood", as.numeric(logLik(fit)))
  again <- lme(y ~ week * arm, data, random = if (slope) ~ 1 + t | subject_id else ~ 1 | subject_id, method = "REML",
               control = lmeControl(msTol = 1e-14, tolerance = 1e-12, msMaxIter = 500, maxIter = 500, niterEM = 50,
                                    returnObject = TRUE))
  cat(name, key, "lme4 against nlme, largest relative difference of a fixed effect:",
      max(abs(fixef(again) / beta[match(names(fixef(again)), names(beta))] - 1)), "log-likelihood:",
      as.numeric(logLik(again)) - as.numeric(logLik(fit)), "theta", theta, "\n")
  terms <- grep(":arm", names(beta)); b <- beta[terms]
  chisq <- as.numeric(t(b) %*% solve(as.matrix(vcov(fit))[terms, terms], b))
  put(name, key, "week:arm", "wald", chisq); put(name, key, "week:arm", "wald_p", pchisq(chisq, length(b), lower.tail = FALSE))
  put(name, key, "all", "n_subjects", length(unique(data$subject_id))); put(name, key, "all", "n_values", nrow(data))
}
for (key in KEYS) { mixed(key, TRUE); mixed(key, FALSE) }

write.csv(do.call(rbind, rows), "reference.csv", row.names = FALSE, quote = FALSE)
