"""What laboratories, reports and other studies call the analytes of the panel, besides code and label.

Read wherever a heading or a cell names an analyte: in files, and in what is pasted into
the grid. Case, width and separators do not count. A name belongs to one analyte only.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

FURTHER_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "tbil": (
            "total bilirubin",
            "bilirubin, total",
            "bilirubin",
            "bili",
            "t-bil",
            "t bil",
            "总胆红素",
            "胆红素",
            "血清总胆红素",
        ),
        "alt": (
            "alanine aminotransferase",
            "gpt",
            "sgpt",
            "谷丙转氨酶",
            "丙氨酸氨基转移酶",
            "丙氨酸转氨酶",
            "丙氨酸氨基转移酶测定",
        ),
        "ast": (
            "aspartate aminotransferase",
            "got",
            "sgot",
            "谷草转氨酶",
            "天门冬氨酸氨基转移酶",
            "门冬氨酸氨基转移酶",
            "天冬氨酸氨基转移酶",
            "天冬氨酸转氨酶",
        ),
        "pta": (
            "prothrombin activity",
            "prothrombin time activity",
            "pt activity",
            "凝血酶原活动度",
            "凝血酶原时间活动度",
            "pt活动度",
            "pt%",
        ),
        "inr": (
            "international normalised ratio",
            "international normalized ratio",
            "pt-inr",
            "国际标准化比值",
            "国际标准化比率",
            "国际标准比值",
        ),
        "creatinine": (
            "serum creatinine",
            "crea",
            "cr",
            "scr",
            "肌酐",
            "血肌酐",
            "血清肌酐",
            "creat",
        ),
        "albumin": (
            "alb",
            "serum albumin",
            "白蛋白",
            "血清白蛋白",
        ),
        "sodium": (
            "na",
            "serum sodium",
            "钠",
            "血钠",
            "血清钠",
            "钠离子",
            "na+",
        ),
        "platelets": (
            "plt",
            "platelet count",
            "platelet",
            "血小板",
            "血小板计数",
            "血小板数",
            "plat",
        ),
        "wbc": (
            "white cell count",
            "white blood cells",
            "leukocytes",
            "白细胞",
            "白细胞计数",
            "白细胞数",
        ),
        "hbv_dna": (
            "hbv dna",
            "hbv-dna",
            "hbvdna",
            "乙肝病毒dna",
            "乙肝dna",
            "乙肝病毒dna定量",
            "乙型肝炎病毒dna",
            "乙型肝炎病毒dna定量",
            "hbv-dna定量",
            "乙肝dna定量",
            "乙肝病毒dna载量",
            "hbv-dna载量",
        ),
        "afp": (
            "alpha-fetoprotein",
            "alpha fetoprotein",
            "甲胎蛋白",
            "甲胎蛋白定量",
        ),
        "pt": (
            "prothrombin time",
            "pt seconds",
            "pt_s",
            "凝血酶原时间",
            "凝血酶原时间测定",
        ),
    }
)
"""By code: in English, in shorthand, as reports of Chinese laboratories and as CDISC spell it."""
