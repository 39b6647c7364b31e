// The product that a page shows, from what the shop writes for search engines or for Shopify's own scripts.
import { safe } from './guard.js';

const asList = (value) => [].concat(value || []);

const nameOf = (value) => value?.name || value;

/** Every Product in a JSON-LD tree; a group of variants is one. */
const productsIn = (node) =>
  asList(node).flatMap((one) =>
    asList(one['@type']).some((type) => /Product(Group)?$/.test(type)) ? one : productsIn(one['@graph'] || one.mainEntity),
  );

const fromJsonLd = () => {
  const found = [...document.querySelectorAll('script[type="application/ld+json"]')].flatMap((script) =>
    productsIn(safe(JSON.parse)(script.textContent)),
  );
  const product = found[0];
  if (!product || found[1]) return; // a page with several is a list
  const offer = asList(product.offers || product.hasVariant?.[0]?.offers)[0] || {};
  const terms = asList(offer.priceSpecification)[0] || offer;
  const image = asList(product.image)[0];
  return {
    currency: offer.priceCurrency || terms.priceCurrency,
    item_id: product.sku || product.productGroupID || offer.sku,
    item_name: product.name,
    item_brand: nameOf(product.brand),
    item_category: nameOf(product.category),
    price: offer.price || offer.lowPrice || terms.price,
    image_url: image?.url || image,
  };
};

const fromShopify = () => {
  const { product, currency } = window.ShopifyAnalytics?.meta || {};
  const variant = product?.variants?.[0];
  return (
    variant && {
      currency,
      item_id: product.id,
      sku: variant.sku,
      item_name: variant.name,
      item_brand: product.vendor,
      item_category: product.type,
      price: variant.price / 100,
    }
  );
};

/** The one product of this page as GA4's view_item has it; undefined where there is none, or several. */
export const productOfPage = () => {
  const { currency, ...item } = fromJsonLd() || (SHOPIFY_META && fromShopify()) || {};
  if (item.item_name) return { currency, items: [item] };
};
