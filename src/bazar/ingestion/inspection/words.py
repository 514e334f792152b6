"""Words that shops use for the status of an order and for kinds of events, in five languages."""

from typing import Literal

from bazar.config.sources import EventType
from bazar.ingestion.inspection.header_names import normalise_name

StatusClass = Literal["purchase", "cancelled", "open"]
"""``open``: the order is not paid yet, or is on hold."""

_STATUSES: dict[StatusClass, str] = {
    "purchase": """
        paid partiallypaid partiallyrefunded authorized authorised complete completed processing
        processed shipped shipping partiallyshipped unshipped shippeddeliveredtobuyer
        shippedpickedup delivered fulfilled unfulfilled success succeeded successful approved
        confirmed accepted sent dispatched invoiced done finished received captured settled ok
        inprogress preparing readyforpickup pickedup
        bezahlt teilweisebezahlt abgeschlossen versendet versandt verschickt geliefert zugestellt
        ausgeliefert erledigt fertig inbearbeitung bearbeitung teilweiseerstattet bestatigt
        abgerechnet vollstandig teilgeliefert
        pagado pagada pagoaceptado completado completada completo completa enviado enviada
        entregado entregada procesando enproceso procesado procesada confirmado confirmada
        aceptado aceptada finalizado finalizada preparacionencurso
        paye payee paiementaccepte termine terminee expedie expediee livre livree encours
        encoursdepreparation preparationencours traite traitee valide validee confirme confirmee
        pago paga concluido concluida entregue processando emprocessamento emseparacao aprovado
        aprovada faturado faturada pagamentoaprovado
        """,
    "cancelled": """
        cancelled canceled cancellation refunded refund fullyrefunded voided void failed failure
        returned return rejected declined denied expired trash fraud error chargeback disputed
        abandoned draft checkoutdraft test deleted lost undeliverable
        storniert stornierung storno abgebrochen erstattet zuruckerstattet ruckerstattet
        retourniert retoure ruckgabe fehlgeschlagen abgelehnt geloscht ungultig zuruckgesendet
        widerrufen
        cancelado cancelada anulado anulada reembolsado reembolsada devuelto devuelta fallido
        fallida rechazado rechazada devolucion errorenpago
        annule annulee rembourse remboursee retourne retournee echoue echouee refuse refusee retour
        erreurdepaiement
        devolvido devolvida estornado estornada falhou recusado recusada
        """,
    "open": """
        pending pendingpayment onhold hold holded awaitingpayment unpaid paymentreview new open
        waiting created pendingreview pendingavailability invoiceunconfirmed
        offen neu ausstehend wartend zahlungausstehend unbezahlt inwartestellung
        pendiente pendientedepago enespera nuevo nueva
        enattente enattentedepaiement enattentedupaiement nouveau nouvelle
        pendente aguardandopagamento aguardando novo nova
        """,
}
_STATUS_PARTS: dict[StatusClass, tuple[str, ...]] = {
    "cancelled": (
        "cancel", "refund", "void", "return", "reject", "fail", "storn", "erstattet", "retour",
        "annul", "anul", "devol", "reembols", "rembours", "estorn",
    ),
    "open": ("pending", "awaiting", "ausstehend", "pendiente", "attente", "aguardando", "unpaid"),
    "purchase": (
        "ship", "deliver", "complet", "paid", "versand", "geliefert", "bezahlt", "pagad", "entreg",
        "enviad", "exped", "livr",
    ),
}  # fmt: skip
"""Parts of further statuses, such as ``Shipped - Out for Delivery``."""

_EVENTS: dict[EventType, str] = {
    "purchase": """
        purchase purchased buy bought order ordered transaction sale sold checkoutcompleted
        ordercompleted completeorder orderplaced placeorder ecommercepurchase inapppurchase invoice
        kauf gekauft bestellung verkauf rechnung compra pedido venta factura achat commande vente
        facture venda fatura
        """,
    "view": """
        view viewed viewitem itemview productview productviewed viewproduct viewcontent detail
        detailview itemdetail pv ansicht ansehen vista ver visualizacion vue consultation
        visualizacao
        """,
    "cart": """
        cart addtocart addcart cartadd addedtocart productadded addtobasket basket warenkorb
        inwarenkorb carrito anadiralcarrito panier ajoutaupanier ajouterpanier carrinho
        adicionaraocarrinho
        """,
    "click": "click clicked selectitem selectcontent productclicked clic klick clique",
    "impression": "impression viewitemlist viewpromotion itemlistview productimpression",
    "other": """
        removefromcart cartremove productremoved wishlist addtowishlist fav favorite favourite like
        begincheckout checkout startcheckout addpaymentinfo addshippinginfo viewcart rating rate
        review compare share
        """,
}
_RETURNS = """
    refund refunded return returned creditnote creditmemo credit cancellation cancel cancelled
    canceled chargeback gutschrift retoure storno stornierung rucksendung erstattung
    stornorechnung devolucion reembolso notadecredito notacredito abono anulacion avoir
    remboursement retour annulation notedecredit devolucao reembolso estorno cancelamento
    """

_RETURN_WORDS = frozenset(_RETURNS.split())
_STATUS_OF_WORD = {word: status for status, words in _STATUSES.items() for word in words.split()}
_EVENT_OF_WORD = {word: event for event, words in _EVENTS.items() for word in words.split()}


def classify_status(text: str) -> StatusClass | None:
    """Return what a status means, or None if the word is unknown."""
    word = normalise_name(text).removeprefix("wc")
    if word in _STATUS_OF_WORD:
        return _STATUS_OF_WORD[word]
    found = (status for status, parts in _STATUS_PARTS.items() if any(p in word for p in parts))
    return next(found, None)


def classify_event(text: str) -> EventType | None:
    """Return the kind of an event, or None if the word is unknown."""
    return _EVENT_OF_WORD.get(normalise_name(text))


def is_return_word(text: str) -> bool:
    """Return whether a word names a return, a refund or a credit note."""
    return normalise_name(text) in _RETURN_WORDS


def names_cancellation(column: str) -> bool:
    """Return whether a column is named as the time of a cancellation."""
    name = normalise_name(column)
    return name in {
        "cancelledat", "canceledat", "cancelleddate", "canceleddate", "cancellationdate",
        "datecancelled", "datecanceled", "cancelledon", "canceledon", "voidedat", "storniertam",
        "stornodatum", "stornierungsdatum", "fechacancelacion", "fechadecancelacion",
        "fechaanulacion", "dateannulation", "dateannulee", "datadecancelamento", "canceladoem",
    }  # fmt: skip
