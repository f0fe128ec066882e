"""mailjet-rest against the emulated Mailjet."""

import base64

from bench import Control, fails_with
from mailjet_rest import Client
from mailjet_rest.errors import ApiRateLimitError, DoesNotExistError, MailjetAuthError, ValidationError

NAME = "mailjet-rest"
KEYS = ("sdk-check-public", "sdk-check-secret")


class World:
    def __init__(self, sandbox, receiver):
        self.url = sandbox.urls["mailjet"] + "/"
        self.client = Client(auth=KEYS, version="v3", api_url=self.url)
        basic = base64.b64encode(":".join(KEYS).encode()).decode()
        self.control = Control(self.url, ("authorization", f"Basic {basic}"))
        self.receiver = receiver
        self.list_id = None
        self.contact_id = None

    def truth(self, email):
        return self.control.truth(self.list_id, email)


def rows(response):
    return response.json()["Data"]


def wrong_credentials_are_unauthorized(world):
    world.control.call("fault", {"fault": "unauthorised", "times": 1})
    fails_with(MailjetAuthError, lambda: world.client.contact.get())


def a_list_is_created_and_found(world):
    world.list_id = rows(world.client.contactslist.create(data={"Name": "Campaigns"}))[0]["ID"]
    assert rows(world.client.contactslist.get(id=world.list_id))[0]["Name"] == "Campaigns"


def a_field_is_created_and_found(world):
    field = {"Name": "stove", "Datatype": "str", "NameSpace": "static"}
    world.client.contactmetadata.create(data=field)
    names = [row["Name"] for row in rows(world.client.contactmetadata.get(filters={"Limit": 100}))]
    assert "stove" in names, names


def a_contact_is_created_and_read(world):
    world.contact_id = rows(world.client.contact.create(data={"Email": "ada@example.org"}))[0]["ID"]
    assert rows(world.client.contact.get(id="ada@example.org"))[0]["ID"] == world.contact_id


def a_second_contact_of_the_same_address_is_refused(world):
    error = fails_with(ValidationError, lambda: world.client.contact.create(data={"Email": "ada@example.org"}))
    assert "MJ18" in str(error), error


def an_unknown_contact_is_not_found(world):
    fails_with(DoesNotExistError, lambda: world.client.contact.get(id="nobody@example.org"))


def a_contact_joins_a_list_with_fields(world):
    data = {"Email": "ada@example.org", "Action": "addnoforce", "Properties": {"stove": "tiled"}}
    world.client.contactslist_managecontact.create(id=world.list_id, data=data)
    assert world.truth("ada@example.org")["mailable"]
    held = rows(world.client.contactdata.get(id=world.contact_id))[0]["Data"]
    assert {"Name": "stove", "Value": "tiled"} in held, held


def many_contacts_join_by_a_job(world):
    people = [{"Email": f"row{number}@example.org"} for number in range(20)]
    data = {"Action": "addnoforce", "Contacts": people}
    job = rows(world.client.contactslist_managemanycontacts.create(id=world.list_id, data=data))[0]["JobID"]
    for _ in range(50):
        state = rows(world.client.contactslist_managemanycontacts.get(id=world.list_id, action_id=job))[0]
        if state["Status"] == "Completed":
            break
        world.control.call("advance", {"seconds": 60})
    assert state["Status"] == "Completed", state
    assert world.control.call(f"mailable?list={world.list_id}")["count"] == 21


def the_lists_rows_are_read(world):
    found = rows(world.client.listrecipient.get(filters={"ContactsList": world.list_id, "Limit": 1000}))
    assert len(found) == 21, len(found)
    assert not any(row["IsUnsubscribed"] for row in found)


def a_contact_is_unsubscribed(world):
    data = {"Email": "row0@example.org", "Action": "unsub"}
    world.client.contactslist_managecontact.create(id=world.list_id, data=data)
    assert world.truth("row0@example.org")["unsubscribed"]


def a_contact_is_excluded_from_all_campaigns(world):
    world.client.contact.update(id="row1@example.org", data={"IsExcludedFromCampaigns": True})
    assert world.truth("row1@example.org")["blocked"]


def a_webhook_is_registered_changed_and_called(world):
    hook = {"EventType": "unsub", "Url": f"http://hook:secret@{world.receiver.url}/first", "Version": 2}
    made = rows(world.client.eventcallbackurl.create(data=hook))[0]["ID"]
    changed = {"Url": f"http://hook:secret@{world.receiver.url}/second"}
    world.client.eventcallbackurl.update(id=made, data=changed)
    assert rows(world.client.eventcallbackurl.get(id=made))[0]["Url"].endswith("/second")
    world.control.call("happen", {"email": "row2@example.org", "what": "unsubscribes", "list": str(world.list_id)})
    world.control.call("advance", {"seconds": 60})
    path, headers, body = world.receiver.next()
    assert path == "/second", path
    assert headers["authorization"] == "Basic " + base64.b64encode(b"hook:secret").decode(), headers
    event = body[0] if isinstance(body, list) else body
    assert (event["event"], event["email"]) == ("unsub", "row2@example.org"), event
    world.client.eventcallbackurl.delete(id=made)
    fails_with(DoesNotExistError, lambda: world.client.eventcallbackurl.get(id=made))


def a_mail_is_sent(world):
    with Client(auth=KEYS, version="v3.1", api_url=world.url) as client:
        mail = {
            "From": {"Email": "shop@example.com", "Name": "Shop"},
            "To": [{"Email": "row3@example.org"}],
            "Subject": "A question",
            "TextPart": "May we write to you?",
        }
        sent = client.send.create(data={"Messages": [mail]}).json()["Messages"][0]
    assert sent["Status"] == "success", sent
    assert sent["To"][0]["MessageID"]


def a_contact_is_anonymised(world):
    # This version of the client has no route for it, but its own authenticated calls.
    world.client.api_call("DELETE", f"{world.url}v4/contacts/{world.contact_id}")
    assert not world.truth("ada@example.org")["on_list"]
    fails_with(DoesNotExistError, lambda: world.client.contact.get(id="ada@example.org"))


def throttling_is_an_error_of_its_own(world):
    world.control.call("fault", {"fault": "throttle", "times": 1})
    fails_with(ApiRateLimitError, lambda: world.client.contact.get())
    world.client.contact.get()


CHECKS = [
    wrong_credentials_are_unauthorized,
    a_list_is_created_and_found,
    a_field_is_created_and_found,
    a_contact_is_created_and_read,
    a_second_contact_of_the_same_address_is_refused,
    an_unknown_contact_is_not_found,
    a_contact_joins_a_list_with_fields,
    many_contacts_join_by_a_job,
    the_lists_rows_are_read,
    a_contact_is_unsubscribed,
    a_contact_is_excluded_from_all_campaigns,
    a_webhook_is_registered_changed_and_called,
    a_mail_is_sent,
    a_contact_is_anonymised,
    throttling_is_an_error_of_its_own,
]
