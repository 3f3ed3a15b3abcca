package gxbus.department.d11440300999900011J_test

import data.gxbus.department.d11440300999900011J as provider

request := {
	"action": "subscribe",
	"provider": {"department": "11440300999900011J"},
	"consumer": {"department": "C"},
	"resource": {"id": "enterprise-registration"},
	"matter": "440106001000",
}

test_a_listed_matter_passes if {
	count(provider.deny) == 0 with input as request
}

test_another_one_is_denied if {
	{r.code | some r in provider.deny} == {"matter-not-listed"} with input as request with input.matter as "440106009000"
}

test_so_is_none if {
	count(provider.deny) == 1 with input as json.remove(request, ["/matter"])
}

test_other_resources_and_the_department_itself_are_left_alone if {
	count(provider.deny) == 0 with input as request with input.matter as "x" with input.resource.id as "other"
	count(provider.deny) == 0 with input as request with input.matter as "x" with input.consumer.department as "11440300999900011J"
}
