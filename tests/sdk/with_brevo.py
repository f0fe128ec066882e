"""brevo-python against the emulated Brevo."""

from bench import Control, fails_with
from brevo import Brevo
from brevo.contacts import (
    AddContactToListRequestBodyEmails,
    ImportContactsRequestJsonBodyItem,
    RemoveContactFromListRequestBodyEmails,
)
from brevo.core.api_error import ApiError
from brevo.errors import BadRequestError, NotFoundError
from brevo.transactional_emails import SendTransacEmailRequestSender, SendTransacEmailRequestToItem
from brevo.webhooks import CreateWebhookRequestAuth

NAME = "brevo-python"
KEY = "xkeysib-sdk-check"


class World:
    def __init__(self, sandbox, receiver):
        self.url = sandbox.urls["brevo"]
        self.client = Brevo(api_key=KEY, base_url=self.url, max_retries=0)
        self.control = Control(self.url, ("api-key", KEY))
        self.receiver = receiver
        self.list_id = None

    def truth(self, email):
        return self.control.truth(self.list_id, email)


def account_is_read(world):
    assert world.client.account.get_account().email


def a_missing_key_is_unauthorized(world):
    keyless = Brevo(api_key="", base_url=world.url, max_retries=0)
    assert fails_with(ApiError, keyless.account.get_account).status_code == 401


def a_list_is_created_and_found(world):
    folder = world.client.contacts.create_folder(name="consentd")
    world.list_id = world.client.contacts.create_list(folder_id=folder.id, name="Campaigns").id
    names = [entry.name for entry in world.client.contacts.get_lists(limit=50).lists]
    assert "Campaigns" in names, names
    assert world.client.contacts.get_list(world.list_id).name == "Campaigns"


def an_attribute_is_created_and_found(world):
    world.client.contacts.create_attribute("normal", "POOL", type="text")
    assert "POOL" in [entry.name for entry in world.client.contacts.get_attributes().attributes]


def a_contact_is_created_and_read(world):
    made = world.client.contacts.create_contact(
        email="ada@example.org", attributes={"POOL": "round"}, list_ids=[world.list_id]
    )
    contact = world.client.contacts.get_contact_info("ada@example.org")
    assert (contact.id, contact.list_ids, contact.email_blacklisted) == (made.id, [world.list_id], False)
    assert world.truth("ada@example.org")["mailable"]


def a_second_contact_of_the_same_address_is_refused(world):
    error = fails_with(BadRequestError, lambda: world.client.contacts.create_contact(email="ada@example.org"))
    assert error.body["code"] == "duplicate_parameter", error.body


def an_unknown_contact_is_not_found(world):
    error = fails_with(NotFoundError, lambda: world.client.contacts.get_contact_info("nobody@example.org"))
    assert error.body["code"] == "document_not_found", error.body


def a_contact_is_blocked_and_changed(world):
    world.client.contacts.update_contact("ada@example.org", email_blacklisted=True, attributes={"POOL": "square"})
    contact = world.client.contacts.get_contact_info("ada@example.org")
    assert contact.email_blacklisted
    assert not world.truth("ada@example.org")["mailable"]


def contacts_are_imported_by_a_process(world):
    rows = [ImportContactsRequestJsonBodyItem(email=f"row{number}@example.org") for number in range(20)]
    made = world.client.contacts.import_contacts(json_body=rows, list_ids=[world.list_id], email_blacklist=False)
    for _ in range(50):
        process = world.client.process.get_process(made.process_id)
        if process.status == "completed":
            break
        world.control.call("advance", {"seconds": 60})
    assert process.status == "completed", process
    page = world.client.contacts.get_contacts_from_list(world.list_id, limit=500)
    assert page.count == 21, page.count
    assert world.control.call(f"mailable?list={world.list_id}")["count"] == 20


def contacts_leave_and_join_a_list(world):
    emails = ["row0@example.org", "row1@example.org"]
    world.client.contacts.remove_contact_from_list(
        world.list_id, request=RemoveContactFromListRequestBodyEmails(emails=emails)
    )
    assert not world.truth("row0@example.org")["on_list"]
    world.client.contacts.add_contact_to_list(
        world.list_id, request=AddContactToListRequestBodyEmails(emails=emails)
    )
    assert world.truth("row1@example.org")["on_list"]


def a_webhook_is_registered_changed_and_called(world):
    made = world.client.webhooks.create_webhook(
        url=f"http://{world.receiver.url}/first", type="marketing", events=["unsubscribed"],
        auth=CreateWebhookRequestAuth(type="bearer", token="a-hook-secret"),
    )
    world.client.webhooks.update_webhook(made.id, url=f"http://{world.receiver.url}/second")
    assert world.client.webhooks.get_webhook(made.id).url.endswith("/second")
    assert len(world.client.webhooks.get_webhooks(type="marketing").webhooks) == 1
    world.control.call("happen", {"email": "row2@example.org", "what": "unsubscribes", "list": str(world.list_id)})
    world.control.call("advance", {"seconds": 60})
    path, headers, body = world.receiver.next()
    assert path == "/second", path
    assert headers["authorization"] == "Bearer a-hook-secret", headers
    assert body["email"] == "row2@example.org", body
    world.client.webhooks.delete_webhook(made.id)
    fails_with(NotFoundError, lambda: world.client.webhooks.get_webhook(made.id))


def a_transactional_mail_is_sent(world):
    sent = world.client.transactional_emails.send_transac_email(
        sender=SendTransacEmailRequestSender(email="shop@example.com", name="Shop"),
        to=[SendTransacEmailRequestToItem(email="row3@example.org")],
        subject="A question", text_content="May we write to you?",
    )
    assert sent.message_id


def a_contact_is_deleted(world):
    world.client.contacts.delete_contact("row4@example.org")
    fails_with(NotFoundError, lambda: world.client.contacts.get_contact_info("row4@example.org"))
    assert not world.truth("row4@example.org")["exists"]


def throttling_is_an_error_of_its_own(world):
    world.control.call("fault", {"fault": "throttle", "times": 1, "headers": {"x-sib-ratelimit-reset": "1"}})
    assert fails_with(ApiError, world.client.account.get_account).status_code == 429
    world.client.account.get_account()


def the_accounts_limit_is_kept(world):
    def hurry():
        for _ in range(20):
            world.client.contacts.get_lists(limit=1)

    error = fails_with(ApiError, hurry)
    assert error.status_code == 429
    assert error.headers["x-sib-ratelimit-remaining"] == "0", error.headers


CHECKS = [
    account_is_read,
    a_missing_key_is_unauthorized,
    a_list_is_created_and_found,
    an_attribute_is_created_and_found,
    a_contact_is_created_and_read,
    a_second_contact_of_the_same_address_is_refused,
    an_unknown_contact_is_not_found,
    a_contact_is_blocked_and_changed,
    contacts_are_imported_by_a_process,
    contacts_leave_and_join_a_list,
    a_webhook_is_registered_changed_and_called,
    a_transactional_mail_is_sent,
    a_contact_is_deleted,
    throttling_is_an_error_of_its_own,
    the_accounts_limit_is_kept,
]
