/*
 * Sends what visitors do to Bazar. It needs no other file and sets no cookie.
 *
 *   <script src="/bazar.js" defer data-url="https://recommend.shop.example/v1/events"
 *           data-key="your publishable key" data-session="visit-7f3a" data-user="C-1042"></script>
 *   <li data-bazar-item="P-17"><a href="/p/17">Soap</a></li>   impressions and clicks are automatic
 *
 *   bazar.send("view", "P-17");                                  on a product page
 *   bazar.send("cart", "P-17");
 *   bazar.send("purchase", "P-17", {order_id: "9001", quantity: 2, price: 3.5});   after the order
 *
 * data-session, or data-user, or both name the visitor; leave data-user out before the login. Events
 * wait in sessionStorage until the service acknowledges them, and are repeated with the same
 * event_id, so that each counts once.
 */
(() => {
  "use strict";
  const options = document.currentScript.dataset;
  const STORE = "bazar-events";
  const BATCH = 50;
  const MOST = 500;
  let queue = [];
  let timer = 0;
  let isSending = false;
  let delay = 1000;

  try { queue = JSON.parse(sessionStorage.getItem(STORE)) || []; } catch { /* no storage */ }

  const save = () => {
    try { sessionStorage.setItem(STORE, JSON.stringify(queue)); } catch { /* no storage */ }
  };
  const schedule = (wait) => { timer = timer || setTimeout(flush, wait); };

  const post = (events) => fetch(options.url, {
    method: "POST",
    keepalive: true, // goes on when the page is left
    headers: {
      "Content-Type": "application/json",
      ...(options.key && {Authorization: `Bearer ${options.key}`}),
    },
    body: JSON.stringify({events}),
  });

  async function flush() {
    clearTimeout(timer);
    timer = 0;
    if (isSending || !queue.length) return;
    isSending = true;
    const events = queue.slice(0, BATCH);
    let mustRepeat = true;
    try {
      const answer = await post(events);
      mustRepeat = answer.status >= 500 || answer.status === 429;
      await answer.text(); // frees the connection
    } catch { /* no connection */ }
    isSending = false;
    if (mustRepeat) {
      delay = Math.min(delay * 2, 60000);
    } else {
      // A batch that the service rejects would be rejected again.
      const ids = new Set(events.map((event) => event.event_id));
      queue = queue.filter((event) => !ids.has(event.event_id));
      delay = 1000;
      save();
    }
    if (queue.length) schedule(delay);
  }

  function send(type, item, fields = {}) {
    queue.push({
      ...fields,
      event_id: crypto.randomUUID(),
      event_type: type,
      item_id: item,
      ...(options.user && {user_id: options.user}),
      ...(options.session && {session_id: options.session}),
    });
    queue = queue.slice(-MOST);
    save();
    schedule(delay);
  }

  const seen = new IntersectionObserver((entries) => {
    for (const {isIntersecting, target} of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      send("impression", target.dataset.bazarItem);
    }
  }, {threshold: 0.5});
  const observe = (root) =>
    root.querySelectorAll("[data-bazar-item]").forEach((element) => seen.observe(element));

  document.addEventListener("click", ({target}) => {
    const item = target.closest("a[href]")?.closest("[data-bazar-item]");
    if (item) send("click", item.dataset.bazarItem);
  });
  addEventListener("pagehide", flush);
  addEventListener("online", flush);

  window.bazar = {send, flush, observe};
  observe(document);
  if (queue.length) schedule(0);
})();
