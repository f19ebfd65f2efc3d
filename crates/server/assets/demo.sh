# Source this file (bash): shell functions that do with curl what a partner portal does.
ISSUER='@ISSUER@'
PASSWORD='@PASSWORD@'
CLIENT='@CLIENT_ID@:@CLIENT_SECRET@'
REDIRECT_URI='@REDIRECT_URI@'

# login EMAIL: logs in by the real pages with authorization code + PKCE; prints the home access token.
login() (
  set -e
  jar=$(mktemp); trap 'rm -f "$jar"' EXIT
  b64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
  verifier=$(openssl rand 32 | b64url)
  challenge=$(printf %s "$verifier" | openssl dgst -sha256 -binary | b64url)
  field() { sed -n "s/.*name=\"$1\" value=\"\([^\"]*\)\".*/\1/p" | head -n 1; }
  visit() { curl -sS -b "$jar" -c "$jar" "$@"; }
  next() { visit -o /dev/null -w '%{redirect_url}' "$@"; }
  at=$(next -G "$ISSUER/oauth2/authorize" --data-urlencode "client_id=${CLIENT%%:*}" \
    --data-urlencode "redirect_uri=$REDIRECT_URI" -d response_type=code -d state=demo \
    --data-urlencode 'scope=openid profile email partner.tenants.list partner.tenants.switch_context tenant.admin operator.admin' \
    -d "code_challenge=$challenge" -d code_challenge_method=S256)
  interaction=${at##*interaction=}
  token=$(visit "$at" | field form_token)
  at=$(next "$ISSUER/login" -d "interaction=$interaction" -d "form_token=$token" \
    --data-urlencode "email=$1" --data-urlencode "password=$PASSWORD")
  case $at in
    */consent*) token=$(visit "$at" | field form_token)
      at=$(next "$ISSUER/consent" -d "interaction=$interaction" -d "form_token=$token" -d decision=allow) ;;
  esac
  code=$(printf %s "$at" | sed -n 's/.*[?&]code=\([^&]*\).*/\1/p')
  [ -n "$code" ] || { echo "login of $1 failed" >&2; exit 1; }
  curl -sS -u "$CLIENT" "$ISSUER/oauth2/token" -d grant_type=authorization_code -d "code=$code" \
    --data-urlencode "redirect_uri=$REDIRECT_URI" -d "code_verifier=$verifier" | jq -r .access_token
)

# switch HOME_TOKEN TENANT [SCOPE]: exchanges the home token for a delegated one; prints it.
switch() {
  curl -sS -u "$CLIENT" "$ISSUER/oauth2/token" \
    -d grant_type=urn:ietf:params:oauth:grant-type:token-exchange \
    -d "subject_token=$1" -d subject_token_type=urn:ietf:params:oauth:token-type:access_token \
    -d "tenant_id=$2" --data-urlencode "scope=${3:-}" | jq -r '.access_token // .'
}
