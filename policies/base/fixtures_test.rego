# Inputs that the tests of the base layer start from.
package gxbus.base_test

provider := {"department": "P", "division": "440300", "divisions": ["440300", "440000"], "system": "p-1"}

consumer := {"department": "C", "division": "440106", "divisions": ["440106", "440100", "440000"], "system": "c-1"}

# Every sharing type, grade and meaning that the base policy tells apart.
resource_items := [
	{"id": "title", "type": "C", "grade": 1},
	{"id": "id_number", "type": "C", "grade": 3, "semantic": "id-number"},
	{"id": "phone", "type": "C", "grade": 3, "semantic": "phone"},
	{"id": "holder", "type": "C", "grade": 2, "semantic": "name"},
	{"id": "address", "type": "C", "grade": 2, "semantic": "address"},
	{"id": "card", "type": "C", "grade": 3, "semantic": "bank-card"},
	{"id": "uscc", "type": "C", "grade": 3, "semantic": "uscc"},
	{"id": "score", "type": "N", "grade": 3},
	{"id": "key", "type": "C", "grade": 4},
	{"id": "hidden", "type": "C", "grade": 1, "sharing": "none"},
]

# A forward from P to C under a grant for everything but `score`.
request := {
	"version": 1,
	"action": "forward",
	"stage": "provider",
	"time": "2026-03-04T02:30:00.000000000Z",
	"provider": provider,
	"consumer": consumer,
	"purpose": "collaboration",
	"matter": "m-1",
	"resource": {
		"id": "r",
		"provider": "P",
		"codes": ["301001/0001"],
		"name": "样例",
		"sharing": {"type": "conditional", "range": "全省", "purposes": ["collaboration", "verification"]},
		"items": resource_items,
		"revision": 7,
	},
	"grant": {
		"id": "g",
		"resource": "r",
		"consumer": "C",
		"purposes": ["collaboration"],
		"items": ["title", "id_number", "phone", "holder", "address", "card", "uscc", "key", "hidden"],
		"matters": ["m-1"],
		"not_before": "2026-03-01T00:00:00.000000000Z",
		"not_after": "2026-04-01T00:00:00.000000000Z",
		"suspended": false,
		"revoked": false,
	},
	"directory": {"index": 42, "age_seconds": 1},
}

ungranted := json.remove(request, ["/grant"])

# The same resource, shared unconditionally and asked for without a grant.
unconditional := json.patch(ungranted, [{"op": "replace", "path": "/resource/sharing", "value": {"type": "unconditional"}}])

# One conditional item in an unconditional resource.
mixed := json.patch(unconditional, [{"op": "add", "path": "/resource/items/1/sharing", "value": "conditional"}])

published := {
	"version": 1,
	"action": "publish",
	"stage": "provider",
	"time": "2026-03-04T02:30:00.000000000Z",
	"provider": provider,
	"consumer": {},
	"resource": request.resource,
	"directory": {"index": 42, "age_seconds": 100000},
}

codes(reasons) := {r.code | some r in reasons}
