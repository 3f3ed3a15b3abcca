package gxbus.department.d11440000999900062B_test

import data.gxbus.department.d11440000999900062B as provider

request := {
	"action": "forward",
	"provider": {"department": "11440000999900062B"},
	"consumer": {"department": "C"},
	"resource": {"id": "marriage-register", "items": [{"id": "number"}, {"id": "spouse", "personal": true}]},
	"purpose": "verification",
}

test_a_verification_gets_yes_or_no if {
	count(provider.deny) == 0 with input as request
	provider.masks == {"spouse": {"method": "verify"}} with input as request
}

test_another_purpose_gets_nothing if {
	every purpose in ["administrative-basis", "reference", "collaboration", ""] {
		count(provider.deny) == 1 with input as request with input.purpose as purpose
	}
}

test_other_resources_and_the_department_itself_are_left_alone if {
	count(provider.deny) == 0 with input as request with input.purpose as "reference" with input.resource.id as "x"
	provider.masks == {} with input as request with input.consumer.department as "11440000999900062B"
}
