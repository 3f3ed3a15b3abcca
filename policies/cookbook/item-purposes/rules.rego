# Each item for its purposes: an identity number to decide or to verify, a phone
# number to work together; an item that is not listed for any.
package gxbus.division.d440300

purposes := {
	"id-number": {"administrative-basis", "verification"},
	"phone": {"collaboration"},
}

items contains item.id if {
	some item in input.resource.items
	not beside_purpose(item)
}

beside_purpose(item) if {
	input.action in {"subscribe", "forward", "deliver", "query"}
	"440300" in input.provider.divisions
	input.consumer.department != input.provider.department
	purposes[item.semantic]
	not fits(item)
}

fits(item) if input.purpose in purposes[item.semantic]
