"""Find the role of a column by its name in the exports of shops, in five languages."""

import re
import unicodedata
from typing import Literal

Role = Literal[
    "user_id",
    "item_id",
    "order_id",
    "timestamp",
    "position",
    "rating",
    "quantity",
    "price",
    "currency",
    "status",
    "event_type",
    "title",
    "url",
    "brand",
    "category",
    "session",
]
"""Role of a column of a file. Not every role is a column of Bazar."""

_NAMES: dict[Role, str] = {
    "user_id": """
        customer id, customer number, customer no, customer nr, customer code, customer key,
        customer ref, cust id, cust no, customer unique id, customer user id, user id, user no,
        reviewer id, member id, shopper id, buyer id, client id, client no, account id, account no,
        household id, household key, visitor id, user pseudo id, loyalty id, card no,
        kundennummer, kunden nr, kunden id, kd nr, kunde id, debitor, debitorennummer, kundennr,
        debitoren nr, benutzer id, nutzer id,
        id cliente, cliente id, id de cliente, numero cliente, numero de cliente, n cliente,
        num cliente, codigo cliente, codigo de cliente, cod cliente, id usuario, usuario id,
        id client, numero client, numero de client, n client, no client, num client, code client,
        identifiant client, ref client, id utilisateur,
        id do cliente, codigo do cliente, numero do cliente,
        customer email, customer e mail, email, e mail, buyer email, billing email, email billing,
        email address, customer email address, contact email, user email, mail,
        e mail adresse, emailadresse, kunden e mail, correo electronico, correo, email cliente,
        adresse e mail, adresse email, courriel, email client, email do cliente,
        customer, user, buyer, client, member, shopper, visitor, kunde, kaufer, besteller, benutzer,
        cliente, comprador, usuario, acheteur, utilisateur,
        customer name, buyer name, billing name, kundenname, nombre cliente, nombre del cliente,
        nom client, nom du client, nome cliente, nome do cliente, customer phone, phone, telefon,
        billing phone, buyer phone number
        """,
    "item_id": """
        lineitem sku, sku, sku code, sku id, sku no, sku number, item sku, product sku, variant sku,
        seller sku, parent asin, asin, stock code, product code, item code, article code,
        article number, article no, article id, product number, product no, item number, item no,
        item id, product id, lineitem product id, variant id, variation id, prod id,
        productid variant, goods id, item, material, material number, model number,
        product reference, isbn, ean, gtin, upc, barcode,
        artikelnummer, artikel nr, art nr, artikel id, artikelnr, produktnummer, produkt nr,
        produkt id, produktcode, bestellnummer artikel, artikel,
        referencia, referencia producto, referencia del producto, codigo producto,
        codigo de producto, codigo del producto, cod producto, codigo articulo,
        codigo de articulo, cod articulo, id producto, id articulo, id del producto,
        producto id, articulo, ref,
        reference, reference produit, reference article, ref produit, ref article, code article,
        code produit, id produit, id article, article,
        codigo do produto, referencia do produto, id do produto, codigo produto, sku do produto,
        product handle, handle, product, produkt, producto, produit, produto, id
        """,
    "order_id": """
        order number, order no, order nr, order id, order name, increment id, order increment id,
        amazon order id, order, sales order, order reference, order ref, purchase id,
        transaction id, ecommerce transaction id, invoice, invoice no, invoice number, invoice id,
        receipt id, receipt no, receipt number, receipt, basket id, basket, ticket, ticket id,
        document number, merchant order id, entity id,
        bestellnummer, bestell nr, bestell id, bestellung, bestellungsnummer, auftragsnummer,
        auftrags nr, auftrag, auftragsnr, rechnungsnummer, rechnungs nr, rechnung, rechnungsnr,
        belegnummer, beleg nr, beleg, belegnr, bon nr, bonnummer,
        numero pedido, numero de pedido, n pedido, num pedido, id pedido, pedido id,
        id del pedido, pedido, factura, numero factura, numero de factura, n factura,
        id factura, tique,
        numero commande, numero de commande, n commande, no commande, num commande, id commande,
        commande, reference commande, ref commande, facture, numero facture, numero de facture,
        n facture, id de commande,
        numero do pedido, id do pedido, codigo do pedido, nota fiscal, fatura, numero da fatura
        """,
    "timestamp": """
        created at, date created gmt, order date gmt, order created date gmt, order date,
        order created date, order created at, order timestamp, order time, ordered at,
        order purchase timestamp, purchase date, purchased at, purchase time, purchase timestamp,
        date created, date ordered, invoice date, transaction date, transaction time, sale date,
        event timestamp, event time, unix review time, timestamp, time stamp, datetime, date time,
        date and time, paid at, processed at, created, placed at, sold at, time, date, event date,
        review time, payments date, day, ts,
        bestelldatum, bestellzeitpunkt, auftragsdatum, rechnungsdatum, belegdatum, kaufdatum,
        erstellt am, zeitpunkt, zeitstempel, datum, datum uhrzeit, buchungsdatum,
        fecha pedido, fecha de pedido, fecha del pedido, fecha compra, fecha de compra,
        fecha factura, fecha de factura, fecha y hora, fecha hora, fecha venta, fecha creacion,
        fecha de creacion, fecha,
        date commande, date de commande, date de la commande, date achat, date d achat,
        date facture, date de facture, date de creation, date creation, date heure, horodatage,
        data do pedido, data pedido, data da compra, data compra, data da fatura, data e hora,
        data de criacao, data
        """,
    "position": """
        position, purchase position, purchase number, sequence number, sequence, seq no, rank, step
        """,
    "rating": """
        rating, overall, stars, star rating, review score, score, bewertung, sterne, valoracion,
        puntuacion, note, avaliacao, nota
        """,
    "quantity": """
        lineitem quantity, qty ordered, product qty, item qty, quantity ordered,
        quantity purchased, quantity shipped, item quantity, product quantity, order quantity,
        quantity, qty, items quantity, units, units sold,
        number of items, count, quantity refund, items sold,
        menge, bestellmenge, anzahl, stuck, stuckzahl, bestellte menge,
        cantidad, cantidad pedida, unidades, uds, cant,
        quantite, quantite commandee, qte, qte commandee, nombre d articles,
        quantidade, qtd, qtde, quant
        """,
    "price": """
        lineitem price, unit price, item price, product price, price per unit, price each,
        item cost, sale price, selling price, price, base price, unit cost, item total, line total,
        row total, amount, line amount, sales value, product net revenue,
        einzelpreis, stuckpreis, verkaufspreis, vk preis, preis, artikelpreis, preis brutto,
        preis netto, betrag,
        precio unitario, precio unidad, precio, precio venta, importe, precio del articulo,
        prix unitaire, prix, prix ttc, prix ht, prix unitaire ttc, prix unitaire ht, montant,
        preco unitario, preco, valor unitario, valor, preco de venda
        """,
    "currency": """
        currency, currency code, order currency, currency iso code, order currency code, curr,
        wahrung, wahrungscode, moneda, divisa, devise, monnaie, moeda
        """,
    "status": """
        financial status, order status, payment status, status, item status, state, order state,
        fulfillment status,
        bestellstatus, auftragsstatus, zahlungsstatus, zustand, estado, estado pedido,
        estado del pedido, estado de pedido, situacion, statut, etat, statut commande,
        statut de la commande, etat de la commande, statut de commande, status do pedido, situacao,
        estado do pedido, status pedido, status da encomenda
        """,
    "event_type": """
        event type, event name, event, behavior type, behaviour type, behavior, action type, action,
        interaction type, activity, activity type, transaction type, document type, order type,
        line type, record type, type, ereignis, ereignistyp, aktion, vorgang, vorgangsart,
        belegart, art, typ, evento, tipo evento, tipo de evento, accion, tipo, evenement,
        type evenement, type d evenement, acao
        """,
    "title": """
        lineitem name, product name, product title, item name, item title, variant title,
        productname variant, order item name, product display name, title, product description,
        item description, description, stock description, name, product, item,
        artikelbezeichnung, artikelname, artikelbeschreibung, produktname, produktbezeichnung,
        produkttitel, bezeichnung, artikeltext, produktbeschreibung, beschreibung, artikel,
        produkt, titel,
        nombre producto, nombre del producto, nombre de producto, nombre articulo,
        nombre del articulo, descripcion, descripcion producto, descripcion del producto,
        descripcion articulo, producto, articulo, denominacion, nombre, titulo,
        nom produit, nom du produit, nom de l article, nom article, designation,
        libelle, libelle produit, libelle article, intitule, description produit, produit,
        article, nom, titre,
        nome produto, nome do produto, descricao do produto, descricao produto, descricao, produto,
        nome, titulo do produto
        """,
    "url": "product url, item url, link, product link, url, produkt url, enlace, lien",
    "brand": """
        brand, brand name, product brand, vendor, manufacturer, store, maker, item brand,
        marke, hersteller, lieferant, marca, fabricante, proveedor, marque, fabricant
        """,
    "category": """
        category, categories, product category, product categories, category name, category code,
        item category, main category, product type, department, category tree, product group,
        kategorie, kategorien, warengruppe, produktgruppe, abteilung, produktkategorie,
        categoria, categorias, categoria producto, familia, seccion, departamento,
        categorie, categorie produit, rayon, famille,
        categoria do produto
        """,
    "session": """
        user session, session id, session, ga session id, visit id, session key, sitzung,
        sitzungs id, sesion, id sesion, id de session, sessao
        """,
}
"""Names by role, the preferred ones first. :func:`normalise_name` is applied to them."""

_PATTERNS: dict[Role, str] = {
    "user_id": r"(customer|user|buyer|client|kunde|shopper)\w*(id|no|nr|number|code|email)$",
    "order_id": r"(order|invoice|receipt|bestell|auftrag|rechnung|pedido|commande)\w*"
    r"(id|no|nr|number|nummer)$",
    "item_id": r"(produ[ck]t|item|article|artikel|produit|produto|variant)\w*"
    r"(id|no|nr|number|code|sku)$",
    "timestamp": r"(order|purchase|invoice|bestell|pedido|commande)\w*(date|time|datum)$",
    "quantity": r"^(quantity|qty|menge|cantidad|quantite|quantidade)",
    "price": r"^(unit|item|product|net|gross)?(price|preis|precio|prix|preco)",
    "title": r"(product|item|article|artikel|produkt)\w*(name|title|description|bezeichnung)$",
}
"""Patterns of further normalised names, for names with an additional word."""


def normalise_name(name: str) -> str:
    """Return a column name in lower case, without accents, and with letters and digits only.

    Letters of other alphabets are kept.
    """
    # The sign of "Nº" would become a letter.
    decomposed = unicodedata.normalize("NFKD", name.casefold().replace("º", ""))
    return "".join(letter for letter in decomposed if letter.isalnum())


_RANKS: dict[str, dict[Role, int]] = {}
for _role, _names in _NAMES.items():
    for _rank, _name in enumerate(_names.split(",")):
        _RANKS.setdefault(normalise_name(_name), {}).setdefault(_role, _rank)

_PERSON = "customer|user|buyer|client|billing|shipping|address|payment|kunde"
"""Pattern of the parents of keys, as in ``shipping_address.name``."""
UNLISTED_RANK = 1000
"""Rank of a name that only a pattern matches."""


def find_roles(name: str) -> dict[Role, int]:
    """Return the roles that a column may have by its name.

    Args:
        name: the name in the file. A path such as ``items.item_id`` or ``Email (Billing)`` is
            looked up complete, then without its first parts, and then without its last part.

    Returns:
        The rank of the name by role: 0 is the most typical name.
    """
    normalised = normalise_name(name)
    if normalised in _RANKS:
        return dict(_RANKS[normalised])
    parts = [normalise_name(part) for part in re.split(r"[./:]", name)]
    without_first = ["".join(parts[start:]) for start in range(1, len(parts))]
    first = normalise_name(re.split(r"[(\[]", name)[0])
    is_person = any(re.search(_PERSON, parent) for parent in parts[:-1])
    for part in (*without_first, first):
        if part in _RANKS:
            return {
                role: rank + 1
                for role, rank in _RANKS[part].items()
                # The name of a customer is not that of a product.
                if role == "user_id" or not is_person
            }
    return {
        role: UNLISTED_RANK for role, pattern in _PATTERNS.items() if re.search(pattern, normalised)
    }


def names_utc(name: str) -> bool:
    """Return whether the name of a column of times states that they are in UTC."""
    return re.search(r"(gmt|utc)$", normalise_name(name)) is not None
