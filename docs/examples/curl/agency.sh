#!/bin/sh
# An agency's system at its gxbus node, with curl (7.76 or newer).
#
#   export NODE=https://10.0.1.1:8440 CA=ca.crt TOKEN=gxs_…
#   ./agency.sh publish        the provider's system publishes an event
#   ./agency.sh schema         what the data of events has to be
#   ./agency.sh pull           the consumer's system subscribes, and pulls events until it is stopped
#   ./agency.sh query          the consumer's system asks for data
#
# Events can be brought instead; that needs openssl and socat, and writes them to events.jsonl:
#
#   export SECRET=… ENDPOINT=http://10.0.2.7:8480/events    where the node reaches this machine
#   ./agency.sh webhook
set -eu

curl() { command curl --silent --show-error --fail-with-body "$@"; }

publish() {
	ID=registration-$(date +%s)-$$
	curl --cacert $CA -H "Authorization: Bearer $TOKEN" \
	  -H 'ce-specversion: 1.0' -H "ce-id: $ID" -H 'ce-source: /systems/market-registry' \
	  -H 'ce-type: cn.gov.sample.enterprise.registered.v1' -H 'ce-subject: %E6%A0%B7%E4%BE%8B%E4%BC%81%E4%B8%9A' \
	  -H 'Content-Type: application/json' \
	  -d '{"enterprise_name":"样例企业有限公司","phone":"19900000001"}' \
	  $NODE/api/v1/resources/enterprise-registration/events
}

schema() {
	curl --cacert $CA -H "Authorization: Bearer $TOKEN" \
	  $NODE/api/v1/resources/enterprise-registration/versions/1/schema
}

subscribe() { # once; afterwards the subscription is there
	curl --cacert $CA -H "Authorization: Bearer $TOKEN" -o /dev/null \
	  $NODE/api/v1/subscriptions/tianhe-registration 2>/dev/null ||
	curl --cacert $CA -H "Authorization: Bearer $TOKEN" -H 'If-None-Match: *' \
	  -H 'Content-Type: application/json' -X PUT \
	  -d '{"resource":"enterprise-registration","grant":"tianhe-registration","purpose":"verification"}' \
	  $NODE/api/v1/subscriptions/tianhe-registration
}

pull() {
	while sleep 1; do
		curl --cacert $CA -H "Authorization: Bearer $TOKEN" -D headers.txt \
		  "$NODE/api/v1/subscriptions/tianhe-registration/events?limit=100&wait=30" || continue
		LAST=$(tr -d '\r' <headers.txt | sed -n 's/^[Gg]xbus-[Ll]ast: //p')
		[ -n "$LAST" ] || continue # nothing waits
		# Here the events go into your database. Only then:
		curl --cacert $CA -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d "{\"last\":$LAST}" \
		  $NODE/api/v1/subscriptions/tianhe-registration/ack || continue # then they come again
	done
}

query() {
	curl --cacert $CA -H "Authorization: Bearer $TOKEN" -H 'Idempotency-Key: 7d1f' -H 'Content-Type: application/json' \
	  $NODE/api/v1/resources/enterprise-registration/query -d '{
	    "grant": "tianhe-registration", "purpose": "verification", "matter": "440106001000", "case": "2026-000123",
	    "basis": "许可办法第五条（样例）", "operator": "window-3",
	    "parameters": {"uscc": "91440300MA5SAMPLE1"}, "timeout_ms": 5000}'
}

webhook() { # the endpoint first: the node asks it at once
	PORT=$(printf '%s' "$ENDPOINT" | sed -n 's,^http://[^/]*:\([0-9]*\)/.*,\1,p')
	socat "TCP-LISTEN:$PORT,reuseaddr,fork" "EXEC:$0 receive" &
	SOCAT=$!
	trap 'kill $SOCAT; exit' INT TERM
	until command curl --silent -X OPTIONS "http://127.0.0.1:$PORT/"; do sleep 1; done
	STATE=$(sink)
	echo "$STATE"
	case $STATE in
	*'"active":true'*) wait ;;
	*) kill $SOCAT && exit 1 ;; # it says why
	esac
}

sink() {
	curl --cacert $CA -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -X PUT -d @- \
	  $NODE/api/v1/subscriptions/tianhe-registration/sink <<-END
	{"url":"$ENDPOINT","secret":"$SECRET"}
	END
}

# receive takes one request on standard input and answers on standard output.
receive() {
	CR=$(printf '\r') LENGTH=0 ORIGIN='' HOOK='' AT='' SIGNATURES=''
	read -r METHOD _
	while read -r LINE && LINE=${LINE%"$CR"} && [ -n "$LINE" ]; do
		VALUE=${LINE#*: }
		case $(printf '%s' "${LINE%%:*}" | tr '[:upper:]' '[:lower:]') in
		content-length) LENGTH=$VALUE ;;
		webhook-request-origin) ORIGIN=$VALUE ;;
		webhook-id) HOOK=$VALUE ;;
		webhook-timestamp) AT=$VALUE ;;
		webhook-signature) SIGNATURES=$VALUE ;;
		esac
	done
	if [ "$METHOD" = OPTIONS ]; then
		answer '200 OK' "WebHook-Allowed-Origin: $ORIGIN"
		return
	fi
	BODY=$(mktemp)
	trap 'rm -f "$BODY"' EXIT
	head -c "$LENGTH" >"$BODY"
	SIGNATURE=$({ printf '%s.%s.' "$HOOK" "$AT"; cat "$BODY"; } | openssl dgst -sha256 -hmac "$SECRET" -binary | base64)
	case " $SIGNATURES " in
	*" v1,$SIGNATURE "*) ;;
	*) answer '401 Unauthorized' && return ;;
	esac
	if [ $(($(date +%s) - AT)) -gt 300 ]; then # somebody sends again what was sent long ago
		answer '401 Unauthorized'
		return
	fi
	# Here the event goes into your database. Only then:
	{ cat "$BODY" && echo; } >>events.jsonl && answer '200 OK'
}

answer() { # STATUS [HEADER]
	printf '%s\r\n' "HTTP/1.1 $1" ${2:+"$2"} 'Content-Length: 0' 'Connection: close' ''
}

case ${1-} in
publish | schema | query) "$1" ;;
pull | webhook)
	subscribe
	"$1"
	;;
receive) receive ;;
*)
	echo "usage: $0 publish|schema|pull|webhook|query" >&2
	exit 2
	;;
esac
