// A certified OpenID provider (npm `oidc-provider`), with its own pages, on the socket that is its standard input. Prints
// `ready`. It signs with new keys each time it starts; everything else it remembers is in the file `store`.
//
// node openid-provider.mjs '{"issuer":…,"apps":[…],"logout":{…},"store":…}' <&socket
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const { issuer, apps, logout, store } = JSON.parse(process.argv[2]);
const remembered = new Map(existsSync(store) ? JSON.parse(readFileSync(store, 'utf8')) : []);

const people = {
  alice: { name: 'Alice Example', email: 'alice@example.com', email_verified: true },
  bob: { name: 'Bob Example', email: 'bob@example.com', email_verified: false },
};

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const provider = new Provider(issuer, {
  adapter: Remembering(),
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  clients: [
    client('plain', 'client_secret_basic', 's3cr3t-demo'),
    // Both change when they are form-encoded, and the colon would end the user name of Basic.
    client('a:b c%+&=/', 'client_secret_basic', 'p:q r%+&=/~"'),
    client('post', 'client_secret_post', 'p:q r%+&=/~"'),
    client('public', 'none'),
  ],
  cookies: { keys: ['of-a-test'] },
  features: { backchannelLogout: { enabled: true }, revocation: { enabled: true } },
  // It would tell nobody of a logout who listens on loopback.
  fetch: (url, { dispatcher: _, ...options }) => fetch(url, options),
  findAccount: (_, id) => (id in people ? { accountId: id, claims: () => ({ sub: id, ...people[id] }) } : undefined),
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig' }] },
  responseTypes: ['code'],
  rotateRefreshToken: true,
  ttl: { AccessToken: 600, Grant: 86400, IdToken: 3600, Interaction: 3600, RefreshToken: 86400, Session: 86400 },
});

// Its pages would fetch a font from another host.
provider.use(async (context, next) => {
  await next();
  if (typeof context.body === 'string') context.body = context.body.replace(/@import url\([^)]*\);/g, '');
});
createServer(provider.callback()).listen({ fd: 0 }, () => console.log('ready'));

function client(id, method, secret) {
  return {
    client_id: id,
    client_secret: secret,
    token_endpoint_auth_method: method,
    response_types: ['code'],
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: apps.map((app) => `${app}/auth/callback`),
    post_logout_redirect_uris: apps.map((app) => `${app}/auth/logout`),
    ...logout,
  };
}

function Remembering() {
  const save = () => writeFileSync(store, JSON.stringify([...remembered]));
  const found = (is) => [...remembered.values()].find(is);
  return class {
    constructor(model) {
      this.key = (id) => `${model}:${id}`;
    }
    async upsert(id, payload) {
      remembered.set(this.key(id), payload);
      save();
    }
    async find(id) {
      return remembered.get(this.key(id));
    }
    async findByUid(uid) {
      return found((payload) => payload.kind === 'Session' && payload.uid === uid);
    }
    async consume(id) {
      remembered.get(this.key(id)).consumed = Math.floor(Date.now() / 1000);
      save();
    }
    async destroy(id) {
      remembered.delete(this.key(id));
      save();
    }
    async revokeByGrantId(grantId) {
      for (const [key, payload] of remembered) if (payload.grantId === grantId) remembered.delete(key);
      save();
    }
  };
}
