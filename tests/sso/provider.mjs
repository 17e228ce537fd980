// A certified OpenID Connect provider with accounts from a file, which is read at each sign-in.
// Arguments: port, redirect URI, where browsers go after signing out, file of accounts.
import { readFileSync } from "node:fs";
import { generateKeyPairSync } from "node:crypto";
import Provider from "oidc-provider";

const [port, redirect, signedOut, accounts] = process.argv.slice(2);
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const key = { ...privateKey.export({ format: "jwk" }), use: "sig", kid: `key-${process.pid}` };

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: "holdfast", client_secret: "a secret, of the test's",
    redirect_uris: [redirect], post_logout_redirect_uris: [signedOut],
    response_types: ["code"], grant_types: ["authorization_code"],
  }],
  jwks: { keys: [key] },
  cookies: { keys: ["test"] },
  claims: { openid: ["sub"], profile: ["preferred_username", "groups", "name"], email: ["email"] },
  conformIdTokenClaims: process.env.IN_USERINFO === "1",
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true } },
  async findAccount(_, id) {
    const account = JSON.parse(readFileSync(accounts, "utf8"))[id];
    return account && { accountId: id, claims: () => ({ sub: id, ...account }) };
  },
  ttl: { Session: 3600, Interaction: 600, Grant: 3600, AccessToken: 600, IdToken: 600 },
});
provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
