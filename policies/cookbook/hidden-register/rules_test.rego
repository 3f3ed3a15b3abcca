package gxbus.division.d440000_test

import data.gxbus.division.d440000 as province

request := {
	"action": "discover",
	"consumer": {"department": "X"},
	"resource": {"id": "infectious-diseases"},
}

test_others_do_not_find_it if {
	{r.code | some r in province.deny} == {"hidden-register"} with input as request
	count(province.deny) == 1 with input as request with input.consumer as {"role": "system-administrator"}
}

test_health_departments_and_those_who_inspect_do if {
	count(province.deny) == 0 with input as request with input.consumer.department as "11440100999900046T"
	count(province.deny) == 0 with input as request with input.consumer as {"role": "auditor"}
}

test_what_is_used_is_left_to_the_grant if {
	count(province.deny) == 0 with input as request with input.action as "forward"
}
