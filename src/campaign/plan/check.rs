//! What is looked at in each row of a list before anything is sent.

use crate::campaign::nonce::with_nonce;
use crate::campaign::template::Template;
use crate::campaign::{CampaignError, CampaignMessage, Nonce};
use crate::ids::{CampaignName, Platform};
use crate::record::{DeliveryKey, NewRecipient};

/// Looks at every message before anything is sent.
pub(super) struct RowCheck {
    name: CampaignName,
    message: CampaignMessage,
    templates: Vec<Vec<Template>>,
    platform: Platform,
    /// As long as any nonce of this campaign's.
    pub(super) longest_nonce: String,
}

impl RowCheck {
    pub(super) fn new(
        name: &CampaignName,
        message: &CampaignMessage,
        platform: Platform,
    ) -> Result<Self, CampaignError> {
        let key = DeliveryKey { seq: u64::MAX / 100, part: 9 };
        let nonce = Nonce { campaign: name.clone(), key, attempt: 1_000, random: u32::MAX };
        let templates = message.templates()?;
        Ok(Self { name: name.clone(), templates, message: message.clone(), platform, longest_nonce: nonce.to_string() })
    }

    /// The variables the message uses.
    pub(super) fn variables(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.templates.iter().flatten().flat_map(Template::variables).map(ToOwned::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// What is wrong with the message this person would get.
    pub(super) fn problem(&self, person: &NewRecipient) -> Option<String> {
        self.templates.iter().zip(&self.message.parts).zip(1..).find_map(|((templates, said), part)| {
            let template = &templates[said.draw(&self.name, &person.recipient)];
            let message = with_nonce(template.fill(&person.variables), &self.longest_nonce);
            let request = self.message.request(person.recipient.clone(), message);
            request.check_for(self.platform).err().map(|error| match self.templates.len() {
                1 => error.to_string(),
                _ => format!("part {part}: {error}"),
            })
        })
    }
}
