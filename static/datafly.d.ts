/** The collector script's global; docs/script.md says what each call does. */

type DataflyAnswer = boolean | 'granted' | 'denied';

interface DataflyConsent {
  functional?: DataflyAnswer;
  analytics?: DataflyAnswer;
  marketing?: DataflyAnswer;
  advertising?: DataflyAnswer;
}

/** GA4's e-commerce item, with what the shop's mails need. */
interface DataflyItem {
  item_id?: string | number;
  item_name?: string;
  item_brand?: string;
  item_category?: string;
  item_variant?: string;
  sku?: string;
  price?: number | string;
  quantity?: number | string;
  item_url?: string;
  image_url?: string;
  [key: string]: unknown;
}

interface DataflyProperties {
  currency?: string;
  value?: number | string;
  transaction_id?: string;
  items?: DataflyItem[];
  [key: string]: unknown;
}

interface DataflyTraits {
  email?: string;
  phone?: string;
  customer_id?: string;
  first_name?: string;
  last_name?: string;
  [key: string]: unknown;
}

interface DataflySettings {
  endpoint?: string;
  consent?: 'wait';
  layer?: string;
  page?: 'off';
  products?: 'off';
  forms?: 'off';
  search?: 'off';
  /** In builds that have them. */
  engagement?: 'off';
  outbound?: 'off';
  debug?: true;
}

interface Datafly {
  (command: 'track', name: string, properties?: DataflyProperties): void;
  (command: 'page', properties?: Record<string, unknown>): void;
  (command: 'identify', traits: DataflyTraits): void;
  (command: 'identify', id: string | number, traits?: DataflyTraits): void;
  (command: 'group', id: string | number, traits?: Record<string, unknown>): void;
  (command: 'consent', purposes: DataflyConsent): void;
  (command: 'reset' | 'flush'): void;
  (command: 'config', settings: DataflySettings): void;
  (command: 'on', what: 'event', listener: (event: { id: string; name: string }) => void): void;

  track(name: string, properties?: DataflyProperties): void;
  page(properties?: Record<string, unknown>): void;
  identify(traits: DataflyTraits): void;
  identify(id: string | number, traits?: DataflyTraits): void;
  group(id: string | number, traits?: Record<string, unknown>): void;
  consent(purposes: DataflyConsent): void;
  reset(): void;
  flush(): void;
  config(settings: DataflySettings): void;
  on(what: 'event', listener: (event: { id: string; name: string }) => void): void;
}

interface Window {
  datafly: Datafly;
}

declare var datafly: Datafly;
