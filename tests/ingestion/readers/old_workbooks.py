"""Workbooks in formats that no installed package writes."""

import zipfile
from base64 import b85decode
from pathlib import Path
from zlib import decompress

_XLS = (
    "c-rk)O-"
    "NKx6#nj=8J!t)9BmA=8is+aYz(7C5$IT8t}<&=L{OviO0m&+P77O<WiErDRnbPUMH{P4Kh&b1O^d*&MGypIK@hEif)"
    "?uQob%q;XcIV4Qu4mXJ@?#m&$;isd+)hF@8wi=Zv0ODG!~&19?V$*loiMnr9i$A2Gv^@v-#Xl$#U^uA>gNhEc4-"
    "E<%@D2LmuyGXx#QbAqu>wbOfi+IXGa%mJz$fhm>L;T8JuKCrJo(;#G~%9-*s*-"
    "V)76Lfb@gNoWh{=G0+KB|95;IJ5YWj!Rt#-0nTGc`K5wsKs-h#pf<7Ti1tOW?$;$N~wr?D=+~X=?-"
    "JSFu7cd8yw5Sgr-cUDV>h>_U_DNa){7en7}tH27Jv2{o|M`UtYNa$-gg@m;XlYr=ct+4-}DK(OzH#)-"
    "j2#F^UDlYsddSGi{hdGiaB!fD=`m9x_bI`m#obvTR?*@Bq!t+bf{5Fpxrm+Fu(x0h3Aw2CyzhdOfM*pMtz;$RZP7u*"
    "g(O@Kq2^qe}Q{3BfRZ#>~wxul9C#C69_^L^c+C`&rL!!@_yCAmfnKc;;!NSZo%0L0VlSe7(>Jg#qOaU9}FgXH;}9N^"
    "JwZXPe-4azg>Xk@&IC`|n4`J|s60KiM&TCNlXZIgU7WZJO-"
    ")8AU=R)U~UO2g!V{oTciW(7IoiEx!&szFW>7TZLH!g{>B9m$-M-"
    "d`UZf#n!5bwGwNOqp!r8`|Ygek|v*?KGR~Y7g@807VEfUZI6tP^)xS-"
    "nmlK0iGFNr)it=w>a^tkL=Y}qxNzaZg$oxh{#htFPTGfOJ|g;@<9WIBUuTxmoco((#o_=4>B-XVt(|UdS-"
    "QUsmo$G?!>96XsU_Ov{}(b2(%Vh+qg(vwFM0mb^-2|f&yo$pe=dYdeg9l3e*We6{{UU<=pz"
)
"""A workbook of Excel 97, which xlwt 1.3 wrote: compressed, in base 85."""
_ODS_TYPE = "application/vnd.oasis.opendocument.spreadsheet"
_ODS = """<?xml version="1.0" encoding="UTF-8"?>
<office:document-content office:version="1.3"
  xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
  xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
  xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0">
<office:body><office:spreadsheet><table:table table:name="Orders">{rows}</table:table>
</office:spreadsheet></office:body></office:document-content>"""
CELLS = [
    ("user", "item", "time"),
    ("007", "tea, “green”", "2024-01-05"),
    ("8", "café", "2024-01-06 10:30:00"),
]
"""The texts of the cells of both workbooks. 8 is a number, and the times are dates."""


def write_xls(path: Path) -> None:
    path.write_bytes(decompress(b85decode(_XLS)))


def write_ods(path: Path) -> None:
    rows = "".join(
        f"<table:table-row>{''.join(map(_write_cell, row))}</table:table-row>" for row in CELLS
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", _ODS_TYPE)
        archive.writestr("content.xml", _ODS.format(rows=rows))
        archive.writestr(
            "META-INF/manifest.xml",
            "<manifest:manifest "
            'xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
            f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{_ODS_TYPE}"/>'
            "</manifest:manifest>",
        )


def _write_cell(text: str) -> str:
    if text == "8":
        value = f'office:value-type="float" office:value="{text}"'
    elif text.startswith("2024"):
        value = f'office:value-type="date" office:date-value="{text.replace(" ", "T")}"'
    else:
        value = 'office:value-type="string"'
    return f"<table:table-cell {value}><text:p>{text}</text:p></table:table-cell>"
