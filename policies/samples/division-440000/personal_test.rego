package gxbus.division.d440000_test

import data.gxbus.division.d440000 as province

request := {
	"action": "forward",
	"purpose": "reference",
	"provider": {"department": "A"},
	"consumer": {"department": "B"},
	"resource": {"items": [{"id": "title"}, {"id": "holder", "semantic": "name"}]},
}

codes(reasons) := {r.code | some r in reasons}

test_reference_on_personal_items_is_denied if {
	codes(province.deny) == {"province-no-reference-on-personal"} with input as request
}

test_a_query_for_reference_is_denied if {
	codes(province.deny) == {"province-no-reference-on-personal"} with input as request with input.action as "query"
}

test_every_personal_meaning_counts if {
	every meaning in ["id-number", "name", "phone", "address", "bank-card"] {
		count(province.deny) == 1 with input as request
			with input.resource.items as [{"id": "x", "semantic": meaning}]
	}
}

test_other_purposes_are_left_alone if {
	every purpose in ["administrative-basis", "verification", "collaboration"] {
		count(province.deny) == 0 with input as request with input.purpose as purpose
	}
}

test_resources_without_personal_items_are_left_alone if {
	count(province.deny) == 0 with input as request
		with input.resource.items as [{"id": "title"}, {"id": "uscc", "semantic": "uscc"}]
}

test_a_department_may_refer_to_its_own_data if {
	count(province.deny) == 0 with input as request with input.consumer.department as "A"
}

test_publishing_is_left_alone if {
	count(province.deny) == 0 with input as request with input.action as "publish"
}
