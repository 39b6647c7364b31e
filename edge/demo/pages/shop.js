// The whole shop: catalogue, cart, pages, consent banner, and its calls to datafly.
// A module runs before DOMContentLoaded, so the product page's view_item is queued before
// a collector could derive one from the JSON-LD.
import catalogue from "/products.json" with { type: "json" };

const { currency, products } = catalogue;
const FREE_DELIVERY_FROM = 60;
const DELIVERY = 4.95;

const byId = (id) => document.getElementById(id);
const money = (amount) => new Intl.NumberFormat("en-GB", { style: "currency", currency }).format(amount);
const round = (amount) => Math.round(amount * 100) / 100;
const absolute = (path) => location.origin + path;

// ---- What the browser remembers; a browser that refuses storage still shows every page. ----

function read(storage, key, otherwise) {
  try {
    return JSON.parse(storage().getItem(key)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

function write(storage, key, value) {
  try {
    if (value === null) storage().removeItem(key);
    else storage().setItem(key, JSON.stringify(value));
  } catch {
    // Private modes and full storage: the cart lasts as long as the page.
  }
}

const lasting = () => window.localStorage;
const thisTab = () => window.sessionStorage;

// ---- Cart: {sku: quantity}; names and prices always come from the catalogue. ----

let cart = read(lasting, "shop.cart", {});

function cartLines() {
  return products
    .filter((product) => cart[product.sku] > 0)
    .map((product) => ({ product, quantity: cart[product.sku] }));
}

function setQuantity(sku, quantity) {
  cart = { ...cart, [sku]: Math.min(Math.max(quantity, 0), 99) };
  write(lasting, "shop.cart", cart);
  showCartCount();
}

function showCartCount() {
  const count = cartLines().reduce((sum, line) => sum + line.quantity, 0);
  byId("cart-count").textContent = count;
  byId("cart-link").setAttribute("aria-label", `Cart, ${count} ${count === 1 ? "item" : "items"}`);
}

function totals(lines) {
  const value = round(lines.reduce((sum, { product, quantity }) => sum + product.price * quantity, 0));
  const shipping = value >= FREE_DELIVERY_FROM ? 0 : DELIVERY;
  return { value, shipping, tax: round((value + shipping) / 6), total: round(value + shipping) }; // prices include 20% VAT
}

// ---- datafly: names as in GA4. ----

function toItem({ product, quantity }) {
  return {
    item_id: product.sku,
    item_name: product.name,
    item_brand: product.brand,
    item_category: product.category,
    price: product.price,
    quantity,
    item_url: absolute(product.url),
    image_url: absolute(product.image),
  };
}

function applyConsent(granted) {
  datafly("consent", { functional: granted, analytics: granted, marketing: granted, advertising: granted });
}

// ---- Consent banner, on every page. ----

function showConsent(visible) {
  byId("consent").hidden = !visible;
  document.documentElement.classList.toggle("consent-open", visible);
}

function answerConsent(granted) {
  write(lasting, "shop.consent", granted);
  applyConsent(granted);
  showConsent(false);
}

function startConsent() {
  const remembered = read(lasting, "shop.consent", null);
  if (remembered === null) showConsent(true);
  else applyConsent(remembered);
  byId("consent-accept").addEventListener("click", () => answerConsent(true));
  byId("consent-decline").addEventListener("click", () => answerConsent(false));
  byId("consent-change").addEventListener("click", () => {
    showConsent(true);
    byId("consent-accept").focus();
  });
}

// ---- Pages: <body data-page="…"> names the one to start. ----

function startHome() {
  const term = (new URLSearchParams(location.search).get("q") ?? "").trim();
  if (!term) return;
  const wanted = term.toLowerCase();
  const found = products.filter(({ name, category }) => `${name} ${category}`.toLowerCase().includes(wanted));
  for (const card of document.querySelectorAll("[data-sku]")) {
    card.hidden = !found.some(({ sku }) => sku === card.dataset.sku);
  }
  byId("search-term").value = term;
  byId("search-summary").textContent = `${found.length} ${found.length === 1 ? "result" : "results"} for “${term}”`;
  byId("search-clear").hidden = false;
  byId("hero").hidden = true;
  byId("list-title").textContent = "Search results";
  byId("list-title").ariaLevel = "1"; // the page's own first heading went with the hero
  datafly("track", "search", { search_term: term, results_count: found.length });
}

function startProduct() {
  const product = products.find(({ sku }) => sku === document.body.dataset.sku);
  datafly("track", "view_item", { currency, value: product.price, items: [toItem({ product, quantity: 1 })] });

  byId("buy").addEventListener("submit", (submit) => {
    submit.preventDefault();
    const quantity = Number(byId("quantity").value);
    setQuantity(product.sku, (cart[product.sku] ?? 0) + quantity);
    byId("added").textContent = `Added to your cart: ${quantity} × ${product.name}.`;
    datafly("track", "add_to_cart", {
      currency,
      value: round(product.price * quantity),
      items: [toItem({ product, quantity })],
    });
  });
}

function startCart() {
  showCart();
  byId("cart-lines").addEventListener("change", ({ target }) => {
    if (!target.validity.valid || !target.value) target.value = cart[target.dataset.sku];
    setQuantity(target.dataset.sku, Number(target.value));
    showLineTotals();
  });
  byId("cart-lines").addEventListener("click", ({ target }) => {
    if (!target.matches("button")) return;
    setQuantity(target.dataset.sku, 0);
    showCart();
    byId("cart-title").focus();
  });
}

function showCart() {
  const lines = cartLines();
  byId("cart-lines").replaceChildren(...lines.map(cartRow));
  byId("cart-full").hidden = lines.length === 0;
  byId("cart-empty").hidden = lines.length > 0;
  showLineTotals();
}

function cartRow({ product, quantity }) {
  const row = byId("cart-line").content.firstElementChild.cloneNode(true);
  const [image, link, price] = [row.querySelector("img"), row.querySelector("a"), row.querySelector(".each")];
  const [input, button] = [row.querySelector("input"), row.querySelector("button")];
  image.src = product.image;
  link.href = product.url;
  link.textContent = product.name;
  price.textContent = `${money(product.price)} each`;
  input.value = quantity;
  input.setAttribute("aria-label", `Quantity of ${product.name}`);
  button.setAttribute("aria-label", `Remove ${product.name}`);
  for (const element of [row, input, button]) element.dataset.sku = product.sku;
  return row;
}

function showLineTotals() {
  const lines = cartLines();
  for (const { product, quantity } of lines) {
    const row = byId("cart-lines").querySelector(`li[data-sku="${product.sku}"]`);
    row.querySelector(".line-total").textContent = money(product.price * quantity);
  }
  showTotals(totals(lines));
}

function showTotals({ value, shipping, tax, total }) {
  byId("sum-goods").textContent = money(value);
  byId("sum-delivery").textContent = shipping ? money(shipping) : "Free";
  byId("sum-total").textContent = money(total);
  byId("sum-tax").textContent = `Includes ${money(tax)} VAT.`;
}

function showSummary(lines, sums) {
  byId("summary-lines").replaceChildren(
    ...lines.map(({ product, quantity }) => {
      const row = document.createElement("li");
      const name = document.createElement("span");
      const price = document.createElement("span");
      name.textContent = `${quantity} × ${product.name}`;
      price.textContent = money(product.price * quantity);
      row.append(name, price);
      return row;
    }),
  );
  showTotals(sums);
}

function startSignup() {
  byId("signup").addEventListener("submit", (submit) => {
    submit.preventDefault();
    datafly("identify", { email: byId("signup-email").value.trim() });
    datafly("track", "sign_up", { method: "newsletter" });
    location.assign("/welcome.html");
  });
}

function startCheckout() {
  const lines = cartLines();
  byId("checkout-full").hidden = lines.length === 0;
  byId("checkout-empty").hidden = lines.length > 0;
  if (lines.length === 0) return;

  const sums = totals(lines);
  const items = lines.map(toItem);
  const checkoutId = read(thisTab, "shop.checkout", null) ?? `co-${randomWord(12)}`;
  write(thisTab, "shop.checkout", checkoutId);
  showSummary(lines, sums);
  datafly("track", "started_checkout", {
    checkout_id: checkoutId,
    checkout_url: absolute("/checkout.html"),
    currency,
    value: sums.value,
    items,
  });

  const email = byId("checkout-email");
  const phone = byId("checkout-phone");
  // Who leaves now can still be reminded of the cart.
  email.addEventListener("change", () => {
    if (email.validity.valid) datafly("identify", { email: email.value.trim() });
  });
  byId("checkout").addEventListener("submit", (submit) => {
    submit.preventDefault();
    const traits = { email: email.value.trim() };
    if (phone.value.trim()) traits.phone = phone.value.trim();
    datafly("identify", traits);
    write(thisTab, "shop.order", { id: `TK-${randomWord(8)}`, cart, isReported: false });
    write(thisTab, "shop.checkout", null);
    cart = {};
    write(lasting, "shop.cart", cart);
    location.assign("/thanks.html");
  });
}

function startThanks() {
  const order = read(thisTab, "shop.order", null);
  byId("order").hidden = order === null;
  byId("no-order").hidden = order !== null;
  if (order === null) return;

  const lines = products
    .filter(({ sku }) => order.cart[sku] > 0)
    .map((product) => ({ product, quantity: order.cart[product.sku] }));
  const sums = totals(lines);
  byId("order-number").textContent = order.id;
  showSummary(lines, sums);
  if (order.isReported) return; // a reload shows the order again and does not count it again
  write(thisTab, "shop.order", { ...order, isReported: true });
  datafly("track", "purchase", {
    transaction_id: order.id,
    value: sums.value,
    currency,
    tax: sums.tax,
    shipping: sums.shipping,
    items: lines.map(toItem),
  });
}

function randomWord(length) {
  const letters = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"; // without those easily misread
  return Array.from(crypto.getRandomValues(new Uint8Array(length)), (byte) => letters[byte % letters.length]).join("");
}

const starts = {
  home: startHome,
  product: startProduct,
  cart: startCart,
  signup: startSignup,
  checkout: startCheckout,
  thanks: startThanks,
};

startConsent();
showCartCount();
starts[document.body.dataset.page]?.();

// A page that comes back from the browser's memory shows the cart as it is now.
addEventListener("pageshow", ({ persisted }) => {
  if (!persisted) return;
  cart = read(lasting, "shop.cart", {});
  showCartCount();
  if (document.body.dataset.page === "cart") showCart();
  if (document.body.dataset.page === "checkout") location.reload();
});
