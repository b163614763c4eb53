//! Whole conversations of candidates held against the baseline's by the judges.

use std::collections::BTreeMap;

use futures::stream::{FuturesUnordered, StreamExt as _};
use shipworthy_rubrics::{PairQuestion, PairQuestions, Rubric, preference, read_pair_answer};
use shipworthy_schema::{
    CallRole, ChatRequest, Conversation, ConversationId, ConversationScore, Event, JudgeCalls,
    JudgedPair, ModelName, PairAnswer, PairJudgement, Persona, PersonaId, Sampling,
};

use crate::asking::{AskError, Asking, StopError};
use crate::halt::HaltReason;
use crate::scoring::{Judge, REPAIRS, Scoring, count_calls};
use crate::simulator_audit::reason_to_exclude;
use crate::turn_seed::turn_seed;

/// What judging pairs rests on.
pub(crate) struct PairJudging<'a> {
    pub(crate) asking: &'a Asking,
    pub(crate) rubric: &'a Rubric,
    pub(crate) scoring: &'a Scoring,
    pub(crate) baseline: &'a ModelName,
}

/// A candidate's conversation and the baseline's with the same person in the same repeat.
struct Pair<'a> {
    persona: &'a Persona,
    baseline: &'a Conversation,
    candidate: &'a Conversation,
}

impl PairJudging<'_> {
    /// Judges all pairs among `conversations`, but for those that an earlier process finished; returns
    /// all of them in the order of the candidates' conversations.
    ///
    /// Pairs begin in the order of repeats, then people, in turn for every candidate; as many are under
    /// way as the judges can answer. Where the run cannot go on, calls under way are still finished
    /// and stored.
    pub(crate) async fn judge_all(
        &self,
        personas: &[Persona],
        conversations: &[Conversation],
        scores: &[ConversationScore],
    ) -> Result<Vec<JudgedPair>, StopError> {
        let asking = self.asking;
        let mut done = finished(asking)?;
        let scores: BTreeMap<&ConversationId, &ConversationScore> = scores
            .iter()
            .map(|score| (&score.conversation, score))
            .collect();
        let mut judged = Vec::new();
        let mut waiting = Vec::new();
        for pair in self.pairs(personas, conversations) {
            if let Some(pair) = done.remove(&pair.candidate.id.to_string()) {
                judged.push(pair);
            } else {
                waiting.push(pair);
            }
        }
        let pairs = u32::try_from(waiting.len()).unwrap_or(u32::MAX);
        asking.emit(Event::PairsStarted { pairs });
        let judges = self.scoring.judges.iter();
        let at_a_time = judges.map(|judge| judge.speaker.model.concurrency()).max();
        let at_a_time = at_a_time.unwrap_or(1).max(1);
        let mut waiting = waiting.into_iter();
        let mut under_way = FuturesUnordered::new();
        let mut stopped: Option<StopError> = None;
        loop {
            while stopped.is_none() && under_way.len() < at_a_time {
                let Some(pair) = waiting.next() else { break };
                let left_out = self.left_out(&pair, &scores);
                under_way.push(async move { self.judge(&pair, left_out).await });
            }
            match under_way.next().await {
                None => break,
                Some(Ok(pair)) => judged.push(pair),
                // Nothing more can be kept.
                Some(Err(stop @ StopError::Store(_))) => return Err(stop),
                Some(Err(stop)) => {
                    asking.halt().request(HaltReason::Fault);
                    stopped.get_or_insert(stop);
                }
            }
        }
        if let Some(stop) = stopped {
            return Err(stop);
        }
        judged.sort_by(|a, b| a.conversation.cmp(&b.conversation));
        Ok(judged)
    }

    /// Returns the pairs of conversations, repeats first, then people, then candidates.
    fn pairs<'a>(
        &self,
        personas: &'a [Persona],
        conversations: &'a [Conversation],
    ) -> Vec<Pair<'a>> {
        let mut of: BTreeMap<(u32, &PersonaId), Vec<&Conversation>> = BTreeMap::new();
        for conversation in conversations {
            let ConversationId {
                repeat, persona, ..
            } = &conversation.id;
            of.entry((*repeat, persona)).or_default().push(conversation);
        }
        let by_id: BTreeMap<&PersonaId, &Persona> = personas
            .iter()
            .map(|persona| (&persona.id, persona))
            .collect();
        let mut pairs = Vec::new();
        for ((_, persona), held) in of {
            let of_baseline = held.iter().find(|c| c.id.model == *self.baseline);
            let (Some(baseline), Some(persona)) = (of_baseline, by_id.get(persona)) else {
                continue;
            };
            let candidates = held.iter().filter(|c| c.id.model != *self.baseline);
            pairs.extend(candidates.map(|candidate| Pair {
                persona,
                baseline,
                candidate,
            }));
        }
        pairs
    }

    /// Says why the plan leaves a pair out, if it does: what it leaves without a score is not compared
    /// either.
    fn left_out(
        &self,
        pair: &Pair<'_>,
        scores: &BTreeMap<&ConversationId, &ConversationScore>,
    ) -> Option<String> {
        let mut scores = [pair.baseline, pair.candidate]
            .into_iter()
            .filter_map(|conversation| scores.get(&conversation.id));
        scores.find_map(|score| reason_to_exclude(&self.scoring.exclude, &score.simulator_flags))
    }

    /// Asks every judge about a pair, as often as planned and in both orders, and stores what comes out.
    async fn judge(
        &self,
        pair: &Pair<'_>,
        left_out: Option<String>,
    ) -> Result<JudgedPair, StopError> {
        let Pair {
            persona,
            baseline,
            candidate,
        } = pair;
        let questions = match left_out {
            Some(reason) => Err(reason),
            None => self.rubric.pair_questions(persona, baseline, candidate),
        };
        let id = &candidate.id;
        let judged = match questions {
            Err(reason) => JudgedPair {
                conversation: id.clone(),
                preference: None,
                missing: Some(reason),
                judgements: Vec::new(),
                judge_calls: Vec::new(),
            },
            Ok(questions) => self.judged(id, &questions).await?,
        };
        let asking = self.asking;
        asking.store().put_pair(asking.run(), &judged).await?;
        asking.emit(Event::PairJudged { id: id.clone() });
        Ok(judged)
    }

    async fn judged(
        &self,
        id: &ConversationId,
        questions: &PairQuestions,
    ) -> Result<JudgedPair, StopError> {
        // Calls are named by their number within the pair, as in `scoring`.
        let mut before = 0;
        let asked = self.scoring.judges.iter().map(|judge| {
            let first = before;
            before += judge.repeats.saturating_mul(2);
            self.judged_by(judge, id, questions, first)
        });
        let asked = futures::future::try_join_all(asked).await?;
        let (judgements, judge_calls): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
        let judgements = judgements.concat();
        let (preference, missing) = match preference(&judgements) {
            Ok(preference) => (Some(preference), None),
            Err(reason) => (None, Some(reason)),
        };
        Ok(JudgedPair {
            conversation: id.clone(),
            preference,
            missing,
            judgements,
            judge_calls,
        })
    }

    async fn judged_by(
        &self,
        judge: &Judge,
        id: &ConversationId,
        questions: &PairQuestions,
        before: u32,
    ) -> Result<(Vec<PairJudgement>, JudgeCalls), StopError> {
        let mut calls = JudgeCalls {
            judge: judge.name.clone(),
            calls: 0,
            prompt_tokens: Some(0),
            completion_tokens: Some(0),
        };
        let mut judgements = Vec::new();
        let mut number = before;
        for repeat in 1..=judge.repeats {
            let mut ask = async |question| {
                number += 1;
                self.ask(judge, id, question, number, &mut calls).await
            };
            judgements.push(PairJudgement {
                judge: judge.name.clone(),
                repeat,
                baseline_first: ask(&questions.baseline_first).await?,
                candidate_first: ask(&questions.candidate_first).await?,
            });
        }
        judge.speaker.model.end_thread(&thread(id));
        Ok((judgements, calls))
    }

    /// Asks one question until the answer can be used.
    async fn ask(
        &self,
        judge: &Judge,
        id: &ConversationId,
        question: &PairQuestion,
        number: u32,
        calls: &mut JudgeCalls,
    ) -> Result<PairAnswer, StopError> {
        // The same for every candidate.
        let seed = turn_seed(
            judge.sampling.seed,
            &id.persona,
            id.repeat,
            number,
            CallRole::Judge,
        );
        let mut messages = question.messages().to_vec();
        let mut fault = String::new();
        for attempt in 0..=REPAIRS {
            let request = ChatRequest {
                thread: thread(id),
                messages,
                sampling: Sampling {
                    seed: seed + u64::from(attempt),
                    ..judge.sampling.clone()
                },
                response_schema: Some(PairQuestion::schema()),
            };
            let asked = self.asking.ask(&judge.speaker, number, attempt, &request);
            let reply = match asked.await {
                Ok(reply) => reply,
                Err(AskError::Stop(stop)) => return Err(stop),
                Err(error) => {
                    fault = error.to_string();
                    break;
                }
            };
            count_calls(calls, reply.usage);
            match read_pair_answer(&reply.content) {
                Ok((choice, reason)) => {
                    let choice = Some(choice);
                    return Ok(PairAnswer { choice, reason });
                }
                Err(error) => {
                    messages = question.repair(&reply.content, &error);
                    fault = error.to_string();
                }
            }
        }
        Ok(PairAnswer {
            choice: None,
            reason: fault,
        })
    }
}

/// Names a pair among the threads of a run: no conversation's name ends so, as its last part is a
/// number.
pub(crate) fn thread(candidate: &ConversationId) -> String {
    format!("{candidate}/pair")
}

/// Returns the pairs an earlier process finished; those without a preference are tried again, and the
/// judge's stored replies are not asked for again.
fn finished(asking: &Asking) -> Result<BTreeMap<String, JudgedPair>, StopError> {
    let pairs = asking.store().pairs(asking.run())?;
    let preferred = pairs.into_iter().filter(|pair| pair.preference.is_some());
    Ok(preferred
        .map(|pair| (pair.conversation.to_string(), pair))
        .collect())
}
