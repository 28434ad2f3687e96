// Takes a code through the published BitBadges SDK: exchange, status, refresh, revoke. Prints one line of JSON.
//
// node sdk.mjs '{"apiUrl":…,"apiKey":…,"code":…,"clientId":…,"clientSecret":…,"redirectUri":…}'
import { BigIntify, BitBadgesAPI } from 'bitbadgesjs-sdk';

const { apiUrl, apiKey, code, clientId, clientSecret, redirectUri } = JSON.parse(process.argv[2]);
const api = new BitBadgesAPI({ apiUrl, apiKey, convertFunction: BigIntify });
const app = { client_id: clientId, client_secret: clientSecret, redirect_uri: redirectUri };

const report = {};
report.exchange = await exchange();
report.secondExchange = await outcome(exchange());
report.status = await status(report.exchange.access_token);
report.refresh = await refresh(report.exchange.refresh_token);
report.secondRefresh = await outcome(refresh(report.exchange.refresh_token));
report.statusOfOldToken = await status(report.exchange.access_token);
report.statusOfNewToken = await status(report.refresh.access_token);
await api.revokeOauthAuthorization({ token: report.refresh.access_token });
report.statusAfterRevoke = await status(report.refresh.access_token);
report.refreshAfterRevoke = await outcome(refresh(report.refresh.refresh_token));
console.log(JSON.stringify(report));

function exchange() {
  const options = { issuedAtTimeWindowMs: 600000 };
  return api.exchangeSIWBBAuthorizationCode({ grant_type: 'authorization_code', code, ...app, options });
}

function refresh(refreshToken) {
  return api.exchangeSIWBBAuthorizationCode({ grant_type: 'refresh_token', refresh_token: refreshToken, ...app });
}

function status(accessToken) {
  api.setAccessToken(accessToken);
  return api.checkIfSignedIn({});
}

async function outcome(call) {
  return call.then(
    () => 'accepted',
    (error) => `refused: ${error.errorMessage ?? error.message ?? error}`,
  );
}
