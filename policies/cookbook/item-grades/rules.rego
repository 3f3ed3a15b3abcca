# Item by item: a system gets items up to the grade that its protection level
# (网络安全等级保护) is good for; one that is not listed gets grades 1 and 2.
package gxbus.division.d440300

grade_of_system := {"sample-44010699990002x": 3}

items contains item.id if {
	some item in input.resource.items
	not above(item)
}

above(item) if {
	elsewhere
	item.grade > object.get(grade_of_system, object.get(input.consumer, "system", ""), 2)
}

elsewhere if {
	input.action in {"subscribe", "forward", "deliver", "query"}
	"440300" in input.provider.divisions
	input.consumer.department != input.provider.department
}
