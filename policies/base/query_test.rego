package gxbus.base_test

import data.gxbus.base

asked := json.patch(request, [
	{"op": "replace", "path": "/action", "value": "query"},
	{"op": "add", "path": "/case", "value": "case-1"},
])

test_a_query_is_allowed_at_both_nodes if {
	every stage in ["consumer", "provider"] {
		base.allow with input as asked with input.stage as stage
	}
}

test_a_query_names_its_matter_and_its_case if {
	codes(base.deny) == {"case-missing"} with input as json.remove(asked, ["/case"])
	codes(base.deny) == {"case-missing"} with input as asked with input.case as ""
	"matter-missing" in codes(base.deny) with input as json.remove(asked, ["/matter"])
	"purpose-missing" in codes(base.deny) with input as json.remove(asked, ["/purpose"])
	"grant-missing" in codes(base.deny) with input as json.remove(asked, ["/grant"])
}

test_within_a_department_a_query_names_nothing if {
	base.allow with input as json.remove(asked, ["/grant", "/purpose", "/matter", "/case"]) with input.consumer as provider
}
