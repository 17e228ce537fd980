"""What comes after the data is made early only where one table is all that it needs."""

import pytest

from holdfast.engines.postgresql.load.early_indexes import (
    IndexPlan,
    constraints,
    dependencies,
    key_constraints,
    plan_indexes,
)
from holdfast.engines.postgresql.load.load_plan import lists
from holdfast.engines.postgresql.load.table_checks import LoadedTable, TablesByLine

BEFORE = """
3; 3079 17035 EXTENSION - citext
474; 1255 17153 FUNCTION public f(integer) admin
216; 1259 17140 TABLE public plain admin
217; 1259 17155 TABLE public ex admin
218; 1259 17164 TABLE public par admin
219; 1259 17169 TABLE public p1 admin
220; 1259 17174 TABLE public sub admin
221; 1259 17183 TABLE public fk admin
222; 1259 17183 TABLE public p2 admin
223; 1259 17200 MATERIALIZED VIEW public mv admin
3619; 0 0 TABLE ATTACH public p1 admin
"""
DATA = """
3808; 0 17140 TABLE DATA public plain admin
3809; 0 17155 TABLE DATA public ex admin
3810; 0 17169 TABLE DATA public p1 admin
3811; 0 17169 TABLE DATA public p2 admin
3812; 0 17183 TABLE DATA public fk admin
"""
AFTER = """
3632; 2606 17163 CONSTRAINT public ex ex_excl admin
3646; 2606 17190 CONSTRAINT public fk fk_pkey admin
3637; 2606 17168 CONSTRAINT public par par_pkey admin
3640; 2606 17168 CONSTRAINT public sub sub_pkey admin
3641; 2606 17173 CONSTRAINT public p1 p1_pkey admin
3642; 2606 17173 CONSTRAINT public p2 p2_pkey admin
3630; 2606 17146 CONSTRAINT public plain plain_pkey admin
3828; 0 0 COMMENT public CONSTRAINT plain_pkey ON plain admin
3829; 0 0 COMMENT public CONSTRAINT par_pkey ON par admin
3648; 1259 17204 INDEX public mv_u admin
3625; 1259 17149 INDEX public plain_citext admin
3626; 1259 17150 INDEX public plain_lower admin
3627; 1259 17154 INDEX public plain_f admin
3657; 0 0 INDEX ATTACH public p1_pkey admin
3660; 3381 17152 STATISTICS public plain_st admin
3661; 3381 17215 STATISTICS public fk_st admin
3662; 2606 17191 FK CONSTRAINT public fk fk_id_fkey admin
3663; 2606 17191 CHECK CONSTRAINT public fk fk_check admin
3664; 1259 1 INDEX public unknown admin
3665; 2620 1 TRIGGER public plain t admin
"""
NEEDS = {
    "3808": "216",
    "3809": "217",
    "3810": "219",
    "3811": "222",
    "3812": "221",
    "3632": "217",
    "3646": "221",
    "3637": "218 218",
    "3640": "220 3637",
    "3641": "219 219 3637 219",
    "3642": "222 3640",
    "3630": "216",
    "3828": "3630",
    "3829": "3637",
    "3648": "223",
    "3625": "3 3 216",
    "3626": "216 216",
    "3627": "216 474",
    "3657": "3637 3641 219 218",
    "3660": "216 216",
    "3661": "221 474",
    "3662": "3630 216 221",
    "3663": "221",
    "3665": "216",
}
LISTING = "".join(
    f"{line}\n"
    + (f";\tdepends on: {NEEDS[number]}\n" if (number := line.split(";")[0]) in NEEDS else "")
    for line in (BEFORE + DATA + AFTER).split("\n")
)
UNIQUE = frozenset({"3646", "3637", "3640", "3641", "3642", "3630"})


def numbers(lines: object) -> list[str]:
    return [line.split(";")[0] for line in lines]  # type: ignore[attr-defined]


@pytest.fixture
def plan() -> IndexPlan:
    return plan_indexes(lists(BEFORE, DATA, AFTER), dependencies(LISTING), UNIQUE)


def own(plan: IndexPlan) -> dict[str, list[str]]:
    return {line.split(" ")[6]: numbers(lines) for line, lines in plan.own.items()}


def test_each_table_has_what_needs_nothing_else(plan: IndexPlan) -> None:
    assert own(plan) == {
        "plain": ["3630", "3828", "3626", "3660"],
        "ex": [],
        "p1": ["3641"],
        "p2": ["3642"],
        "fk": ["3646"],
    }


def test_what_partitions_need_is_made_while_there_are_no_rows(plan: IndexPlan) -> None:
    assert numbers(plan.early) == ["3637", "3640"]


def test_all_else_waits_in_the_order_of_the_archive(plan: IndexPlan) -> None:
    assert numbers(plan.rest) == [
        *["3632", "3829", "3648", "3625", "3627", "3657", "3661", "3662", "3663", "3664", "3665"]
    ]


def test_each_entry_is_made_once(plan: IndexPlan) -> None:
    made = [*plan.early, *plan.rest, *(line for lines in plan.own.values() for line in lines)]
    assert sorted(made) == sorted(line for line in AFTER.split("\n") if line)


def test_a_table_with_more_to_come_is_not_analysed_yet(plan: IndexPlan) -> None:
    """Of an index with an expression, and of statistics on several columns, ANALYZE keeps more."""
    assert {line.split(" ")[6] for line in plan.settled} == {"p1", "p2"}


def test_postponed_is_as_in_a_single_pg_restore(plan: IndexPlan) -> None:
    after = lists(BEFORE, DATA, AFTER).after
    later = plan.postponed(after)
    assert later.own == {}
    assert later.rest == [line for line in after if line not in plan.early]
    assert later.settled == frozenset()


def test_without_dependencies_everything_waits() -> None:
    plan = plan_indexes(lists(BEFORE, DATA, AFTER), {}, UNIQUE)
    assert (plan.early, plan.own) == ([], {})
    assert numbers(plan.rest) == numbers(line for line in AFTER.split("\n") if line)


SCRIPT = r"""
\restrict abc
SET client_encoding = 'UTF8';
--
-- TOC entry 10 (class 2606 OID 1)
-- Name: t t_pkey; Type: CONSTRAINT; Schema: public; Owner: admin
--
ALTER TABLE ONLY public.t
    ADD CONSTRAINT "EXCLUDE" PRIMARY KEY ("UNIQUE");
ALTER TABLE public.t CLUSTER ON "EXCLUDE";
--
-- TOC entry 11 (class 2606 OID 2)
--
ALTER TABLE ONLY public."-- TOC entry 12 (class"
    ADD CONSTRAINT "UNIQUE" EXCLUDE USING gist (public.f(id) WITH =, r WITH &&);
--
-- TOC entry 12 (class 2606 OID 2)
--
ALTER TABLE ONLY public.t ADD CONSTRAINT u UNIQUE NULLS NOT DISTINCT (a, "-- TOC entry 11 (");
--
-- TOC entry 13 (class 2606 OID 2)
--
ALTER TABLE ONLY public.t ADD CONSTRAINT n NOT NULL a NOT VALID;
"""


def test_only_keys_are_taken_for_keys() -> None:
    assert key_constraints(SCRIPT) == {"10", "12"}
    assert key_constraints(SCRIPT + "$$") == frozenset()


def test_constraints_are_those_that_may_be_keys() -> None:
    found = numbers(constraints(AFTER.split("\n")))
    assert found == ["3632", "3646", "3637", "3640", "3641", "3642", "3630"]


A = LoadedTable(("public", "a"), complete=True, analysable=True)


@pytest.mark.parametrize(
    ("tables", "line", "found"),
    [
        ([("public", "a")], "1; 0 1 TABLE DATA public a admin", ("public", "a")),
        ([("public", "a"), ("public", "a b")], "1; 0 1 TABLE DATA public a b", None),
        ([("public", "a b"), ("public a", "b")], "1; 0 1 TABLE DATA public a b admin", None),
        (
            [("public", "a b"), ("public", "c")],
            "1; 0 1 TABLE DATA public a b x y",
            ("public", "a b"),
        ),
        ([("public", "a\nb.c")], "1; 0 1 TABLE DATA public a b.c admin", ("public", "a\nb.c")),
        ([("public", "b")], "1; 0 1 TABLE DATA public a admin", None),
        ([("public", "a")], "1; 0 1 SEQUENCE SET public a admin", None),
    ],
)
def test_a_line_is_one_table_or_none(
    tables: list[tuple[str, str]], line: str, found: tuple[str, str] | None
) -> None:
    table = TablesByLine(replace_name(name) for name in tables).get(line)
    assert (table.name if table else None) == found


def replace_name(name: tuple[str, str]) -> LoadedTable:
    return A._replace(name=name)
