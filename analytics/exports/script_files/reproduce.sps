* Encoding: UTF-8.
* Print again, from the files of this export alone, every p-value that cells.csv holds.
* IBM SPSS Statistics 25 or newer (Base), or GNU PSPP 1.6 or newer.
* Written for this export: the columns below are those of its files.
*
* SPSS prints every test that may be chosen; column "method" of cells.csv says which one was,
* by the rule of the study:
*   two groups      both normal (Shapiro-Wilk Sig. at least .05): t-test, equal variances assumed
*                   when Levene Sig. is at least .05 (t_pooled), else not assumed (t_welch);
*                   otherwise Mann-Whitney, Asymp. Sig. (mannwhitney_asymptotic)
*   a change        normal: one-sample t-test of the differences (t_paired); otherwise Wilcoxon,
*                   Asymp. Sig. (signedrank_asymptotic)
*   four groups     all normal: ONEWAY (anova); otherwise Kruskal-Wallis (kruskal)
*   all weeks       Friedman (friedman)
*   shares of men   n below 40 or an expected count below 1: Fisher (fisher); an expected count
*                   below 5: continuity correction (chi2_yates); otherwise Pearson (chi2);
*                   the four groups: Pearson
* Groups so small that no arrangement reaches .05 have mannwhitney_exact or signedrank_exact in
* cells.csv: /METHOD=EXACT of the Exact Tests option, or the scripts in R and Python.
* PSPP 1.6.2 prints wrong numbers for Shapiro-Wilk of fewer than six values and for Fisher.

* Where the files are.
CD '.'.
SET DECIMAL=DOT.
* A column without a value in a group is a warning and nothing more.
SET MXWARNS=1000000 MXERRS=1000000.

* --- Infusions until the landmark day, which make the groups of the landmark population.

GET DATA /TYPE=TXT /FILE='infusions.csv' /ENCODING='UTF8'
  /ARRANGEMENT=DELIMITED /FIRSTCASE=2 /DELIMITERS=',' /QUALIFIER='"'
  /VARIABLES=
@@columns infusions@@.
COMPUTE day=@@given@@.
SORT CASES BY subject_id day.
AGGREGATE OUTFILE=* MODE=ADDVARIABLES /BREAK=subject_id /first_day=MIN(day).
SELECT IF (day LE first_day + @@landmark@@).
AGGREGATE OUTFILE=* /BREAK=subject_id /early=N.
DATASET COPY early.

* --- Laboratory values and scores: one row per value.
* A value counts at its week unless it was taken on or after death or transplantation; at a
* detection limit it enters as the limit, which is what column "value" holds.

GET DATA /TYPE=TXT /FILE='labs_long.csv' /ENCODING='UTF8'
  /ARRANGEMENT=DELIMITED /FIRSTCASE=2 /DELIMITERS=',' /QUALIFIER='"'
  /VARIABLES=
@@columns labs_long@@.
SELECT IF (NOT MISSING(week) AND NOT MISSING(value) AND after_end EQ 'f').
RENAME VARIABLES (analyte=item).
MATCH FILES /FILE=* /KEEP=subject_id item week value.
EXECUTE.
DATASET COPY labs.

GET DATA /TYPE=TXT /FILE='scores.csv' /ENCODING='UTF8'
  /ARRANGEMENT=DELIMITED /FIRSTCASE=2 /DELIMITERS=',' /QUALIFIER='"'
  /VARIABLES=
@@columns scores@@.
SELECT IF (NOT MISSING(week) AND NOT MISSING(value) AND after_end EQ 'f').
RENAME VARIABLES (score=item).
MATCH FILES /FILE=* /KEEP=subject_id item week value.
ADD FILES /FILE=* /FILE=labs.

* --- One row per subject: item_wK is the value of week K, item_dJ_K the decrease from J to K.

NUMERIC
@@levels@@ (F12.4).
@@spread@@
AGGREGATE OUTFILE=* /BREAK=subject_id
  /@@levels@@
  =MAX(@@levels@@).

* Exact decimals: a difference of binary numbers is rounded, so that equal ones are tied.
NUMERIC
@@differences@@ (F12.4).
@@subtract@@
DATASET COPY wide.

* --- Subjects, with their groups in the three populations.

GET DATA /TYPE=TXT /FILE='subjects.csv' /ENCODING='UTF8'
  /ARRANGEMENT=DELIMITED /FIRSTCASE=2 /DELIMITERS=',' /QUALIFIER='"'
  /VARIABLES=
@@columns subjects@@.
SORT CASES BY subject_id.
MATCH FILES /FILE=* /TABLE=early /TABLE=wide /BY subject_id.
IF (MISSING(early)) early=0.
RECODE group ('A'=1) ('B'=2) ('C'=3) ('D'=4) INTO all_g.
COMPUTE landmark_group=2 * (diagnosis EQ 'cirrhosis') + 1 + (early LT @@prolonged@@).
IF (eligible EQ 't') eligible_g=all_g.
IF (treated EQ 't') treated_g=all_g.
IF (landmark EQ 't') landmark_g=landmark_group.
COMPUTE eligible_d=TRUNC((eligible_g + 1) / 2).
COMPUTE treated_d=TRUNC((treated_g + 1) / 2).
COMPUTE landmark_d=TRUNC((landmark_g + 1) / 2).
IF (sex EQ 'F') male=0.
IF (sex EQ 'M') male=1.
COMPUTE zero=0.
VARIABLE LABELS
@@labels subjects@@
@@labels of items@@
  /eligible_g 'Group, eligible population' /treated_g 'Group, treated population'
  /landmark_g 'Group, landmark population, by infusions until day @@landmark@@'
  /eligible_d 'Disease, eligible population' /treated_d 'Disease, treated population'
  /landmark_d 'Disease, landmark population' /male 'Sex'.
VALUE LABELS eligible_g treated_g landmark_g
@@groups@@
  /eligible_d treated_d landmark_d 1 'LF' 2 'LC'
  /male 0 'female' 1 'male'.
EXECUTE.

* --- The tests.

* Two groups: one=code of group 1, two=code of group 2 in the variable "which".
DEFINE !between (which=!CHAREND('/') /one=!CHAREND('/') /two=!CHAREND('/'))
T-TEST GROUPS=!which (!one !two) /MISSING=ANALYSIS
  /VARIABLES=age @@first level@@ TO @@last level@@ @@first difference@@ TO @@last difference@@.
NPAR TESTS /M-W=age @@first level@@ TO @@last level@@ @@first difference@@ TO @@last difference@@ BY !which (!one !two)
  /MISSING=ANALYSIS.
COMPUTE here=(!which EQ !one OR !which EQ !two).
FILTER BY here.
CROSSTABS /TABLES=!which BY male /STATISTICS=CHISQ /CELLS=COUNT EXPECTED.
FILTER OFF.
!ENDDEFINE.

* Changes within one stratum, and all weeks at once: low=first, high=last code of its groups.
* The signed-rank test compares the rounded differences with a column of zeros.
DEFINE !within (which=!CHAREND('/') /low=!CHAREND('/') /high=!CHAREND('/'))
COMPUTE here=(!which GE !low AND !which LE !high).
FILTER BY here.
T-TEST /TESTVAL=0 /MISSING=ANALYSIS /VARIABLES=@@first difference@@ TO @@last difference@@.
NPAR TESTS /WILCOXON=@@first difference@@ TO @@last difference@@ WITH zero /MISSING=ANALYSIS.
@@friedman@@
FILTER OFF.
!ENDDEFINE.

* The four groups at once.
DEFINE !four (which=!CHAREND('/'))
ONEWAY age @@first level@@ TO @@last level@@ BY !which /MISSING=ANALYSIS.
NPAR TESTS /K-W=age @@first level@@ TO @@last level@@ BY !which (1 4) /MISSING=ANALYSIS.
CROSSTABS /TABLES=!which BY male /STATISTICS=CHISQ /CELLS=COUNT EXPECTED.
!ENDDEFINE.

* Shapiro-Wilk by group, by disease and of everybody.
DEFINE !normality (which=!CHAREND('/') /disease=!CHAREND('/'))
COMPUTE everybody=1.
COMPUTE here=(!which GE 1).
FILTER BY here.
EXAMINE VARIABLES=age @@first level@@ TO @@last level@@ @@first difference@@ TO @@last difference@@
  BY !which !disease everybody
  /PLOT=NPPLOT /STATISTICS=NONE /MISSING=PAIRWISE /NOTOTAL.
FILTER OFF.
!ENDDEFINE.

@@calls@@

* --- Holm over the weeks of one quantity, Benjamini-Hochberg over all quantities as well.

GET DATA /TYPE=TXT /FILE='cells.csv' /ENCODING='UTF8'
  /ARRANGEMENT=DELIMITED /FIRSTCASE=2 /DELIMITERS=',' /QUALIFIER='"'
  /VARIABLES=
@@columns cells@@.
SELECT IF (NOT MISSING(p_value)).
COMPUTE all_weeks=(measure EQ 'level' AND week_from NE week_to).
SORT CASES BY population measure group1 group2 all_weeks analyte p_value.
AGGREGATE OUTFILE=* MODE=ADDVARIABLES
  /BREAK=population measure group1 group2 all_weeks analyte /narrow=N.
COMPUTE place=1.
IF ($CASENUM GT 1 AND population EQ LAG(population) AND measure EQ LAG(measure) AND group1 EQ LAG(group1)
  AND group2 EQ LAG(group2) AND all_weeks EQ LAG(all_weeks) AND analyte EQ LAG(analyte)) place=LAG(place) + 1.
EXECUTE.
COMPUTE holm=MIN(1, p_value * (narrow - place + 1)).
EXECUTE.
IF (place GT 1) holm=MAX(LAG(holm), holm).
EXECUTE.
SORT CASES BY population (A) measure (A) group1 (A) group2 (A) all_weeks (A) p_value (D).
AGGREGATE OUTFILE=* MODE=ADDVARIABLES /PRESORTED
  /BREAK=population measure group1 group2 all_weeks /wide=N.
COMPUTE place=1.
IF ($CASENUM GT 1 AND population EQ LAG(population) AND measure EQ LAG(measure) AND group1 EQ LAG(group1)
  AND group2 EQ LAG(group2) AND all_weeks EQ LAG(all_weeks)) place=LAG(place) + 1.
EXECUTE.
COMPUTE bh=MIN(1, p_value * wide / (wide - place + 1)).
EXECUTE.
IF (place GT 1) bh=MIN(LAG(bh), bh).
EXECUTE.
COMPUTE off_holm=ABS(holm - p_holm) / MAX(p_holm, 1E-300).
COMPUTE off_bh=ABS(bh - p_bh) / MAX(p_bh, 1E-300).
COMPUTE differs=(off_holm GT 0.000001 OR off_bh GT 0.000001).
FORMATS off_holm off_bh (E12.3).
VARIABLE LABELS off_holm 'Holm: relative difference from cells.csv'
  /off_bh 'Benjamini-Hochberg: relative difference from cells.csv'
  /differs 'Rows that differ by more than 1E-6'.
DESCRIPTIVES VARIABLES=off_holm off_bh differs /STATISTICS=MAX SUM.
TEMPORARY.
SELECT IF (differs EQ 1).
LIST VARIABLES=population measure group1 group2 analyte week_from week_to p_value p_holm holm p_bh bh.
