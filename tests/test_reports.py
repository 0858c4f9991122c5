"""Figures as files: every cell of a workbook, the words of a PDF, charts as pictures, and who is refused."""

import io
import socket
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache

import altair as alt
import openpyxl
import pandas as pd
import pytest
from pypdf import PdfReader
from sqlalchemy import Engine

from core.analytics.metrics import METRICS, change
from core.analytics.period import Period
from core.analytics.report import Report, report
from core.db.engine import shop_session
from core.db.money import from_minor
from core.errors import InputError
from core.reports import images, overview, pdf, workbook
from core.reports.about import About, Store, file_name
from core.reports.table import Column, Measured, Table, csv_text, of_frame
from core.reports.workbook import overview_workbook
from tests import factories as make
from tests.test_charts import report as made_report

TODAY = date(2026, 11, 20)
PERIOD = Period(date(2026, 11, 16), TODAY)
NAMES = ("Ada", "محمد عبد الرحمن", "שרה כהן", "राहुल शर्मा", "张伟", "山田太郎", "김철수", '=HYPERLINK("x")', "தமிழ் 😀")
CURRENCIES = {"USD": "#,##0.00", "JPY": "#,##0", "KWD": "#,##0.000"}


def store(currency: str = "USD", **facts: object) -> Store:
    synced_at = datetime(2026, 11, 20, 19, 3, tzinfo=UTC)
    whole = Store(1, "Harbor & Pine", "harbor.myshopify.com", currency, "America/New_York", synced_at)
    return replace(whole, **facts)


def known(period: Period = PERIOD) -> Report:
    """Known figures of some days, with every name, an unknown rate, and amounts that no float has exactly."""
    days = period.days
    found = made_report(
        period,
        total_sales=[1234567, -1, 0, 100_10, 999][:days],
        net_sales=[1230000, -1, 0, 30, 995][:days],
        orders=[12345, 0, 1, 2, 3][:days],
        returning_customer_rate=[0.5, None, 0, 1 / 3, 1][:days],
    )
    customers = pd.DataFrame(
        {
            "buyer_id": range(1, len(NAMES) + 3),
            "customer_id": pd.Series([*range(1, len(NAMES) + 2), None], dtype=object),
            "name": pd.Series([*NAMES, None, None], dtype=object),
            "orders": 1,
            "net_sales": range(1000, 1000 + len(NAMES) + 2),
            "last_order_at": datetime(2026, 11, 20, 3, tzinfo=UTC),
        }
    )
    products = pd.DataFrame(
        {"product_id": [2**53 + 1, 0], "title": ["http://example.com", "+1"], "units": [2, 1], "net_sales": [-5, 7]}
    )
    return replace(found, top_customers=customers, top_products=products)


def sheets(content: bytes) -> openpyxl.Workbook:
    return openpyxl.load_workbook(io.BytesIO(content))


def exactly(cell: object) -> Decimal:
    return Decimal(str(cell))


@pytest.mark.parametrize("currency", CURRENCIES)
def test_every_cell_of_the_workbook_is_the_reports(currency: str):
    now, before = known(), known(PERIOD.previous())
    tables = overview.tables(now, before, "America/New_York")
    book = sheets(workbook.workbook(About(store(currency), "Overview", PERIOD, before.period), tables))
    days = book["By day"]
    assert [cell.value for cell in days[1]][1:] == [
        f"{metric.label} ({currency})" if metric.unit == "money" else metric.label for metric in METRICS
    ]
    written = [*now.by.to_dict("records"), now.totals]
    assert days.max_row == len(written) + 1
    for row, numbers in zip(days.iter_rows(min_row=2), written, strict=True):
        for cell, metric in zip(row[1:], METRICS, strict=True):
            number = numbers[metric.slug]
            if number is None:
                assert cell.value is None
            elif metric.unit == "money":
                assert exactly(cell.value) == from_minor(int(number), currency)
                assert cell.number_format == CURRENCIES[currency]
            else:
                assert cell.value == pytest.approx(float(number), rel=1e-15)
                assert cell.number_format == ("0.0%" if metric.unit == "percent" else "#,##0")
    assert [cell.value.date() for cell in days["A"][1:-1]] == [bucket.start for bucket in PERIOD.buckets("day")]
    assert days["A"][-1].value == "Total" and days["A"][-1].font.bold
    assert days.freeze_panes == "B2" and days.auto_filter.ref == f"A1:{days.cell(1, days.max_column).column_letter}6"
    for row, metric in zip(book["Figures"].iter_rows(min_row=2), METRICS, strict=True):
        name, value, there, moved = (cell.value for cell in row)
        assert name == metric.label
        expected = now.totals[metric.slug]
        if metric.unit == "money":
            assert exactly(value) == exactly(there) == from_minor(int(expected), currency)
        else:
            assert value == there == pytest.approx(expected)
        assert moved == change(expected, expected)


def test_texts_are_texts_and_never_formulas_or_links():
    book = sheets(workbook.workbook(About(store(), "Overview", PERIOD), overview.tables(known(), None, "UTC")))
    assert [cell.value for cell in book["Top customers"]["B"][1:]] == [*NAMES, None, None]
    assert [cell.value for cell in book["Top products"]["B"][1:]] == ["http://example.com", "+1"]
    assert book["Top products"]["A"][1].value == str(2**53 + 1)  # no float of Excel's has this number
    for sheet in book:
        assert {cell.data_type for row in sheet for cell in row} <= {"s", "n", "d"}
        assert not any(cell.hyperlink for row in sheet for cell in row)


def test_an_amount_of_more_digits_than_excel_keeps_is_a_text_with_all_of_them():
    amounts = Table("Amounts", (Column("amount", "money"),), [[10**15 - 1], [10**15], [123_456_789_012_345_678]])
    column = sheets(workbook.workbook(About(store(), "Amounts", None), [amounts]))["Amounts"]["A"]
    assert exactly(column[1].value) == Decimal("9999999999999.99") and column[1].data_type == "n"
    assert exactly(column[2].value) == Decimal(10**13)
    assert (column[3].value, column[3].data_type) == ("1234567890123456.78", "s")


def test_the_first_sheet_says_what_the_file_is():
    about = About(store(), "Sales by channel", PERIOD, PERIOD.previous(), {"Country": "Canada, =1+1"})
    rows = Table("By: channel/[all]", (Column("channel", "text"), overview.measure("net_sales")), [["Web", 5]] * 3)
    book = sheets(workbook.workbook(about, [rows, rows]))
    assert book.sheetnames == ["About", "By  channel  all", "By  channel  all 2"]
    said = {row[0].value: row[1].value for row in book["About"] if row[0].value}
    assert said["Period"] == "2026-11-16 to 2026-11-20 (5 days)"
    assert said["Compared with"] == "2026-11-11 to 2026-11-15 (5 days)"
    assert said["Time zone"].startswith("America/New_York") and said["Currency"] == "USD"
    assert said["Data as of"] == "2026-11-20 14:03 (America/New_York)"
    assert said["Country"] == "Canada, =1+1"
    assert said["By  channel  all"] == 3
    assert said["Net sales"] == next(metric.definition for metric in METRICS if metric.slug == "net_sales")


def test_more_rows_than_excel_holds_are_refused_and_not_cut():
    table = Table("Orders", (Column("order", "text"),), range(workbook.MOST_ROWS))
    with pytest.raises(InputError, match="1,048,575 rows"):
        workbook.workbook(About(store(), "Orders", None), [table])


def test_what_pandas_calls_missing_is_an_empty_cell_and_endless_is_a_word():
    frame = pd.DataFrame({"a": [1.5, float("nan"), float("inf")], "b": [pd.NaT, date(2026, 1, 2), None]})
    table = of_frame("Missing", frame, (Column("a", "number"), Column("b", "date")))
    assert csv_text(table, "USD") == "a,b\n1.5,\n,2026-01-02\ninf,\n"
    sheet = sheets(workbook.workbook(About(store(), "Missing", None), [table]))["Missing"]
    assert [cell.value for cell in sheet["A"][1:]] == [1.5, None, "inf"]


def test_csv_is_exact_and_has_no_lines_beside_its_rows():
    columns = (Column("name", "text"), Column("amount", "money"), Column("value", "number"))
    table = Table("Some", columns, [["=1+1", -5, Measured(7, "money")], ["a,b", None, 0.1]], ["Total", -5, None])
    assert csv_text(table, "USD") == 'name,amount USD,value\n\'=1+1,-0.05,0.07\n"a,b",,0.1\nTotal,-0.05,\n'
    assert csv_text(table, "KWD").splitlines()[1] == "'=1+1,-0.005,0.007"
    assert csv_text(table, "JPY").splitlines()[1] == "'=1+1,-5,7"


def test_a_file_is_named_after_the_shop_and_its_days():
    assert file_name(store(), "sales_by_day", PERIOD, "csv") == "harbor_sales_by_day_2026-11-16_2026-11-20.csv"
    assert file_name(store(), "stock", None, "xlsx") == "harbor_stock.xlsx"


@cache
def words(currency: str = "USD", *, compared: bool = True, days: int = 5) -> str:
    """The text of the PDF with known figures."""
    period = Period(TODAY, TODAY) if days == 1 else PERIOD
    before = known(period.previous()) if compared else None
    about = About(store(currency), "Overview", period, before.period if before else None)
    return text_of(pdf.pdf(about, known(period), before, TODAY, "en_US"))


def text_of(content: bytes) -> str:
    pages = PdfReader(io.BytesIO(content)).pages
    return "\n".join(page.extract_text() for page in pages).replace("\0", "")  # the reader's, of two-byte letters


@pytest.mark.parametrize(
    ("currency", "total"), [("USD", "$12,455.75"), ("JPY", "¥1,245,575"), ("KWD", "KWD 1,245.575")]
)
def test_the_pdf_has_the_figures_in_the_shops_currency(currency: str, total: str):
    text = words(currency).replace("\N{NO-BREAK SPACE}", " ")
    assert total in text and "12,351" in text and "nan" not in text.lower()
    assert "16 Nov to 20 Nov 2026, compared with 11 Nov to 15 Nov" in text
    assert "Data as of 14:03, 20 Nov (New York)" in text and "America/New_York" in text
    assert "Net sales plus shipping" in text and "Page 1 of" in text


@pytest.mark.parametrize("name", ["Ada", "Customer 10", "Guest", "张伟", "山田太郎", "김철수", "=HYPERLINK"])
def test_names_are_in_the_pdf_in_their_own_letters(name: str):
    assert name in words().replace(" ", "") if name.isalpha() else name in words()


def test_right_to_left_names_keep_their_letters_and_what_no_font_has_is_a_box():
    text = words()
    assert all(letter in text for letter in "".join(NAMES[1:4]))
    assert "□" in text and "stands for a letter that this file has no font for" in text


def test_a_pdf_without_comparison_or_of_one_day_is_made_too():
    assert "compared with" not in words(compared=False)
    assert "vs day before" in words(days=1)


def test_the_pdf_of_a_shop_without_orders_says_so(database: Engine):
    make.add_shop(1)
    with shop_session(1) as session:
        text = text_of(pdf.overview_pdf(session, store(synced_at=None), PERIOD, None))
        book = sheets(overview_workbook(session, store(synced_at=None), PERIOD, None))
    assert text.count("Nothing in this period.") == 2 and "Not synced yet" in text and "$0.00" in text
    assert [cell.value for cell in book["By day"]["B"][1:]] == [0] * 6


def test_the_workbook_of_a_shop_is_what_its_page_shows(database: Engine):
    make.add_shop(1)
    for number, total in enumerate(("10.10", "0.30", "99.99"), 1):
        moment = datetime(2026, 11, 16 + number, 15, tzinfo=UTC)
        document = make.order(number, moment, make.agreement(moment, make.sale(total)), customer=number)
        make.store_orders(make.context(1), document)
    with shop_session(1) as session:
        now, before = report(session, PERIOD, "day"), report(session, PERIOD.previous(), "day")
        content = overview_workbook(session, store(), PERIOD, PERIOD.previous())
        expected = workbook.workbook(
            About(store(), "Overview", PERIOD, PERIOD.previous()), overview.tables(now, before, "America/New_York")
        )
    got, wanted = sheets(content), sheets(expected)
    assert [[[cell.value for cell in row] for row in sheet] for sheet in got] == [
        [[cell.value for cell in row] for row in sheet] for sheet in wanted
    ]
    assert exactly(got["By day"]["B"][-1].value) == Decimal("110.39")


def chart(data: alt.Data | pd.DataFrame | None = None, colour: str = "#6CB6FF") -> dict[str, object]:
    frame = pd.DataFrame({"name": ["张伟", "محمد"], "value": [1.0, 2.0]}) if data is None else data
    drawn: dict[str, object] = alt.Chart(frame).mark_bar(color=colour).encode(x="value:Q", y="name:N").to_dict()
    return drawn


def test_a_chart_is_a_picture_under_its_title_in_light_colours():
    drawn = images.svg(chart(), "Sales <by> name", ["Harbor & Pine", "5 days"], {"#6CB6FF": "#0B5CAD"})
    root = ET.fromstring(drawn.decode())
    texts = ["".join(part.itertext()) for part in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Sales <by> name", "张伟", "محمد"} <= set(texts) and any("Harbor & Pine" in text for text in texts)
    assert b"#0B5CAD" in drawn and b"#6CB6FF" not in drawn
    picture = images.png(chart(), "Sales", [], {})
    assert picture.startswith(b"\x89PNG\r\n") and int.from_bytes(picture[16:20], "big") > 1500


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """An address that would notice if it were asked for something."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        yield server


def test_a_picture_fetches_nothing(listener: socket.socket):
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/data.csv"
    with pytest.raises(ValueError, match="base_url|not allowed|External"):
        images.png(chart(alt.UrlData(url=url)), "Sales", [], {})
    with pytest.raises(TimeoutError):
        listener.accept()
